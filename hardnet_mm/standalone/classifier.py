"""HarDNet as a plain PyTorch model, usable without a toolbox."""

from typing import Any

from torch import Tensor, nn

from ..backbones import HarDNet
from ..backbones.architectures import HEAD_DROPOUT, get_architecture, group_blocks
from ..checkpoints.published import SCHEME
from ..checkpoints.reading import read_checkpoint
from ..foundation import initialize


class HarDNetClassifier(nn.Module):
    """A HarDNet with the original's head: global average pooling, dropout and a linear layer.

    Parameters have the same names as in mmpretrain's ``ImageClassifier``, so that each loads the
    checkpoints of the other.

    Args:
        arch (str | dict): As of :class:`HarDNet`.
        num_classes (int): Number of classes. Defaults to 1000.
        dropout (float): Probability of dropping a channel before the linear layer. Defaults to 0.
        **kwargs: Other arguments of :class:`HarDNet`.
    """

    def __init__(
        self, arch: str | dict, num_classes: int = 1000, dropout: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__()
        last = len(group_blocks(get_architecture(arch)['downsample'])) - 1
        self.backbone = HarDNet(arch, out_indices=(last,), **kwargs)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout))
        self.head.fc = nn.Linear(self.backbone.channels[0], num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Map images ``(N, 3, H, W)`` to logits ``(N, num_classes)``."""
        return self.head(self.backbone(image)[0])


def create_model(
    arch: str | dict,
    num_classes: int = 1000,
    pretrained: bool | str = False,
    features_only: bool = False,
    **kwargs: Any,
) -> HarDNetClassifier | HarDNet:
    """Create a classifier or, with ``features_only``, the backbone alone.

    The published weights expect RGB images, normalised by ImageNet's mean and standard deviation.

    Args:
        arch (str | dict): As of :class:`HarDNet`.
        num_classes (int): Number of classes. If pretrained weights have another number, their
            linear layer is left out. Defaults to 1000.
        pretrained (bool | str): True for the published ImageNet weights, a path, an address,
            ``hardnet://...``, or with mmengine anything that it loads. Defaults to False.
        features_only (bool): Whether to return a :class:`HarDNet`, whose outputs are a tuple of
            feature maps. Defaults to False.
        **kwargs: Other arguments of :class:`HarDNet`.

    Returns:
        HarDNetClassifier | HarDNet: The model in training mode, as any new module of PyTorch.

    Raises:
        ValueError: If there is no such variant, if the variant has no published weights, or if the
            weights belong to another variant.
        FileNotFoundError: If there is no such file.
        ConnectionError: If this machine does not have the weights and cannot download them.

    Examples:
        >>> model = create_model('hardnet39ds', num_classes=10)
        >>> model.eval()(torch.zeros(1, 3, 64, 64)).shape
        torch.Size([1, 10])
        >>> backbone = create_model('hardnet39ds', features_only=True, out_indices=(1, 2, 3))
        >>> backbone.channels, backbone.out_strides
        ((320, 640, 1024), (8, 16, 32))
    """
    if features_only:
        model = backbone = HarDNet(arch, **kwargs)
    else:
        dropout = HEAD_DROPOUT.get(arch, 0.0) if isinstance(arch, str) else 0.0
        model = HarDNetClassifier(arch, num_classes, dropout, **kwargs)
        backbone = model.backbone
    initialize(backbone, backbone.init_cfg)
    if pretrained:
        if pretrained is True:
            if not isinstance(arch, str):
                raise ValueError('a dict of fields has no published weights: name a checkpoint')
            pretrained = SCHEME + arch
        _load(model, pretrained)
    return model


def _load(model, name):
    """Load weights. Only a linear layer with another number of classes may be left out."""
    checkpoint = read_checkpoint(name)
    state = dict(checkpoint.get('state_dict', checkpoint))
    wanted = model.state_dict()
    for key in ('head.fc.weight', 'head.fc.bias'):
        if key in state and key in wanted and state[key].shape != wanted[key].shape:
            del state[key]
    try:
        missing = [k for k in model.load_state_dict(state, strict=False)[0] if 'head.' not in k]
    except RuntimeError as error:
        raise ValueError(f'{name} is not of this model: {error}') from error
    if missing:
        raise ValueError(f'{name} is not of this model: it lacks {missing[:3]} and others')
