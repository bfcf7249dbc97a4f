"""HarDNet for timm: importing this makes ``timm.create_model('hardnet68')`` work.

Libraries that use timm's names then know HarDNet, too: ``tu-hardnet68`` of
segmentation_models_pytorch, and Hugging Face's ``TimmBackbone``.
"""

from typing import Any

from torch import Tensor, nn

from .backbones import HarDBlock, HarDNet
from .backbones.architectures import HEAD_DROPOUT
from .checkpoints import convert_official, is_official
from .checkpoints.card import timm_settings
from .checkpoints.download import find_weights
from .checkpoints.published import WEIGHTS
from .foundation import initialize
from .training.recomputation import RecomputingHarDBlock

try:
    from timm.layers import ClassifierHead
    from timm.models import (
        PretrainedCfg,
        build_model_with_cfg,
        generate_default_cfgs,
        register_model,
    )
except ModuleNotFoundError as error:
    raise ImportError(
        "hardnet_mm.timm needs timm, which is not installed: pip install 'hardnet_mm[timm]'",
        name=error.name,
    ) from error

# Of the stages, by the stride of the last one.
STRIDES = {32: None, 16: (1, 2, 2, 1), 8: (1, 2, 1, 1)}
DILATIONS = {32: None, 16: (1, 1, 1, 2), 8: (1, 1, 2, 4)}


class TimmHarDNet(nn.Module):
    """A HarDNet classifier with timm's interface.

    It has the parameters of :class:`.HarDNetClassifier`, without the prefix ``backbone.`` in the
    names of stem and stages.

    Args:
        arch (str): Name of a variant, as of :class:`~hardnet_mm.backbones.HarDNet`.
        num_classes (int): Number of classes; 0 leaves the linear layer out. Defaults to 1000.
        in_chans (int): Channels of the image. Defaults to 3.
        global_pool (str): Type of the pooling, one of timm's; '' for none. Defaults to 'avg'.
        output_stride (int): Stride of the last stage, 8, 16 or 32. Defaults to 32.
        drop_rate (float, optional): Dropout before the linear layer. Defaults to None: the
            original's.

    Raises:
        ValueError: If an argument is none of the allowed values.
    """

    def __init__(
        self,
        arch: str,
        num_classes: int = 1000,
        in_chans: int = 3,
        global_pool: str = 'avg',
        output_stride: int = 32,
        drop_rate: float | None = None,
    ) -> None:
        super().__init__()
        if output_stride not in STRIDES:
            raise ValueError(f'output_stride must be one of {list(STRIDES)}, got {output_stride}')
        backbone = HarDNet(
            arch,
            in_chans,
            out_indices=('stem1', 0, 1, 2, 3),
            strides=STRIDES[output_stride],
            dilations=DILATIONS[output_stride],
        )
        initialize(backbone, backbone.init_cfg)
        self.stem, self.stages = backbone.stem, nn.Sequential(*backbone.stages)
        self.num_classes, self.num_features = num_classes, backbone.channels[-1]
        self.head_hidden_size = self.num_features
        modules = ('stem.1', *(f'stages.{index}' for index in range(4)))
        self.feature_info = [
            dict(num_chs=channels, reduction=stride, module=module)
            for channels, stride, module in zip(backbone.channels, backbone.out_strides, modules)
        ]
        drop_rate = HEAD_DROPOUT[arch] if drop_rate is None else drop_rate
        self.head = ClassifierHead(self.num_features, num_classes, global_pool, drop_rate)

    def forward_features(self, x: Tensor) -> Tensor:
        """Map images ``(N, in_chans, H, W)`` to the last feature map."""
        return self.stages(self.stem(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """Map the last feature map to logits; with ``pre_logits``, to the linear layer's input."""
        return self.head(x, pre_logits=pre_logits)

    def forward(self, x: Tensor) -> Tensor:
        """Map images ``(N, in_chans, H, W)`` to logits ``(N, num_classes)``."""
        return self.forward_head(self.forward_features(x))

    def get_classifier(self) -> nn.Module:
        """Return the linear layer."""
        return self.head.fc

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the linear layer by a new one, or by none for 0 classes."""
        self.num_classes = num_classes
        self.head.reset(num_classes, global_pool)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Set whether blocks are recomputed in the backward pass."""
        for module in self.modules():
            if isinstance(module, HarDBlock):
                module.__class__ = RecomputingHarDBlock if enable else HarDBlock

    def group_matcher(self, coarse: bool = False) -> dict:
        """Return how timm groups the parameters, for learning rates by depth."""
        return dict(stem=r'^stem', blocks=r'^stages\.(\d+)')


def adapt_keys(state_dict: dict, model: nn.Module) -> dict:
    """Return a checkpoint's state dict under the names of :class:`TimmHarDNet`.

    Args:
        state_dict (dict): A checkpoint of the original program, or of a classifier of this plugin.
        model (nn.Module): Not used; timm passes it.
    """
    state = state_dict.get('state_dict', state_dict)
    state = convert_official(state) if is_official(state) else state
    return {key.removeprefix('backbone.'): value for key, value in state.items()}


def _published(arch):
    weights = WEIGHTS[arch]
    return dict(
        timm_settings(weights.input_size),
        url=weights.address,
        num_classes=1000,
        origin_url=weights.source,
        license=weights.license.lower(),
        paper_ids='arXiv:1909.00948',
    )


default_cfgs = generate_default_cfgs({f'{arch}.in1k': _published(arch) for arch in HEAD_DROPOUT})


def _create(arch, pretrained, **kwargs):
    if pretrained and not isinstance(kwargs.get('pretrained_cfg'), (dict, PretrainedCfg)):
        # by this plugin's loader, which knows mirrors, and folders of files
        found = dict(file=str(find_weights(arch)))
        kwargs['pretrained_cfg_overlay'] = {**found, **(kwargs.get('pretrained_cfg_overlay') or {})}
    return build_model_with_cfg(
        TimmHarDNet,
        arch,
        pretrained,
        arch=arch,
        pretrained_filter_fn=adapt_keys,
        feature_cfg=dict(flatten_sequential=True),
        **kwargs,
    )


@register_model
def hardnet39ds(pretrained: bool = False, **kwargs: Any) -> TimmHarDNet:
    """Return HarDNet39DS."""
    return _create('hardnet39ds', pretrained, **kwargs)


@register_model
def hardnet68ds(pretrained: bool = False, **kwargs: Any) -> TimmHarDNet:
    """Return HarDNet68DS."""
    return _create('hardnet68ds', pretrained, **kwargs)


@register_model
def hardnet68(pretrained: bool = False, **kwargs: Any) -> TimmHarDNet:
    """Return HarDNet68."""
    return _create('hardnet68', pretrained, **kwargs)


@register_model
def hardnet85(pretrained: bool = False, **kwargs: Any) -> TimmHarDNet:
    """Return HarDNet85."""
    return _create('hardnet85', pretrained, **kwargs)
