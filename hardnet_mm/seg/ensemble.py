"""Several segmentors as one."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseTTAModel, ModuleList, is_model_wrapper
from mmseg.models import BaseSegmentor, EncoderDecoder
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from ..checkpoints.loaders import load_whole
from ..registry import MODELS
from ..utils.errors import InputError


@MODELS.register_module()
class SegmentorEnsemble(BaseSegmentor):
    """Average the probabilities of several segmentors, as those that were trained on folds.

    The logits are those of the mean probabilities, so that whatever follows is as of one of them.
    It predicts; its members are trained one by one.

    Args:
        segmentors (Sequence[dict]): Configs of the members, all with the same outputs. The first
            one's threshold and test settings count.
        data_preprocessor (dict, optional): Config of the data preprocessor, the members' own.
            Defaults to None.

    Raises:
        InputError: If there is no member, or their outputs differ.
    """

    def __init__(self, segmentors: Sequence[dict], data_preprocessor: dict | None = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.segmentors = ModuleList(MODELS.build(segmentor) for segmentor in segmentors)
        channels = sorted({segmentor.out_channels for segmentor in self.segmentors})
        if len(channels) != 1:
            raise InputError(
                f'the segmentors of an ensemble must have the same outputs, got {len(segmentors)} '
                f'of them with {channels} channels'
            )
        for name in ('out_channels', 'num_classes', 'align_corners', 'test_cfg'):
            setattr(self, name, getattr(self.segmentors[0], name))

    @property
    def decode_head(self) -> nn.Module:
        """The first member's, whose threshold counts."""
        return self.segmentors[0].decode_head

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the logits of the mean probabilities, ``(N, C, H, W)``.

        Args:
            inputs (Tensor): Normalised images, ``(N, 3, H, W)``.
            batch_img_metas (list[dict]): As of mmseg's ``EncoderDecoder``.
        """
        return mean_logits([each.inference(inputs, batch_img_metas) for each in self.segmentors])

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the same of whole images."""
        return mean_logits(
            [each.encode_decode(inputs, batch_img_metas) for each in self.segmentors]
        )

    predict = EncoderDecoder.predict  # of what inference gives

    def extract_feat(self, inputs: Tensor) -> Any:
        """Refuse: every member has its own features."""
        raise InputError('an ensemble has no features of its own: ask its segmentors')

    def loss(self, inputs: Tensor, data_samples: list) -> Any:
        """Refuse: the members are trained one by one."""
        raise InputError('an ensemble predicts: train its segmentors one by one')

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Any:
        """Refuse, as :meth:`extract_feat`."""
        return self.extract_feat(inputs)


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logits of the mean of probabilities.

    Args:
        logits (Sequence[Tensor]): ``(N, C, H, W)`` each, of one foreground where C is 1, and
            otherwise of C classes.
    """
    stacked = torch.stack(tuple(logits))
    if stacked.shape[2] > 1:
        return stacked.log_softmax(dim=2).logsumexp(dim=0)  # the number of members cancels
    return logsigmoid(stacked).logsumexp(dim=0) - logsigmoid(-stacked).logsumexp(dim=0)


def ensemble_config(model: dict, count: int) -> dict:
    """Return the config of an ensemble of equal segmentors.

    Args:
        model (dict): The config of each.
        count (int): How many there are.
    """
    preprocessor = {key: model[key] for key in ('data_preprocessor',) if key in model}
    return dict(type='SegmentorEnsemble', segmentors=[model] * count, **preprocessor)


def load_segmentors(model: nn.Module, checkpoints: Sequence[str]) -> dict:
    """Load a checkpoint into each segmentor of an ensemble, every tensor.

    Args:
        model (nn.Module): A :class:`SegmentorEnsemble`, or what wraps one for test-time
            augmentation or several devices.
        checkpoints (Sequence[str]): As many files, addresses or names.

    Returns:
        dict: ``meta`` of the first checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If one is damaged, or of another model.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    metas = [load_whole(*pair) for pair in zip(model.segmentors, checkpoints, strict=True)]
    return metas[0]
