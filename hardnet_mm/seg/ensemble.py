"""An ensemble of segmentors."""

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
    """Average the probabilities of several segmentors, such as those trained on different folds.

    The outputs are the logits of the mean probabilities, so an ensemble can replace one segmentor.
    It only predicts: its members are trained separately.

    Args:
        segmentors (Sequence[dict]): Configs of the members, which must have the same outputs. The
            threshold and the test settings are those of the first one.
        data_preprocessor (dict, optional): Config of the data preprocessor, the same as that of the
            members. Defaults to None.

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
        """The first member's decode head, whose threshold is used."""
        return self.segmentors[0].decode_head

    def inference(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the logits of the mean probabilities, ``(N, C, H, W)``.

        Args:
            inputs (Tensor): Normalised images, ``(N, 3, H, W)``.
            batch_img_metas (list[dict]): As in mmseg's ``EncoderDecoder``.
        """
        return mean_logits([each.inference(inputs, batch_img_metas) for each in self.segmentors])

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Return the logits of the mean probabilities, without sliding windows."""
        return mean_logits(
            [each.encode_decode(inputs, batch_img_metas) for each in self.segmentors]
        )

    predict = EncoderDecoder.predict  # of what inference gives

    def extract_feat(self, inputs: Tensor) -> Any:
        """Raise an error: every member has its own features."""
        raise InputError('an ensemble has no features of its own: ask its segmentors')

    def loss(self, inputs: Tensor, data_samples: list) -> Any:
        """Raise an error: the members are trained separately."""
        raise InputError('an ensemble predicts: train its segmentors one by one')

    def _forward(self, inputs: Tensor, data_samples: list | None = None) -> Any:
        """Raise an error, as :meth:`extract_feat` does."""
        return self.extract_feat(inputs)


def mean_logits(logits: Sequence[Tensor]) -> Tensor:
    """Return the logits of the mean of probabilities.

    Args:
        logits (Sequence[Tensor]): ``(N, C, H, W)`` each. C = 1 is one foreground class; otherwise
            there are C classes.
    """
    stacked = torch.stack(tuple(logits))
    if stacked.shape[2] > 1:
        return stacked.log_softmax(dim=2).logsumexp(dim=0)  # the number of members cancels
    return logsigmoid(stacked).logsumexp(dim=0) - logsigmoid(-stacked).logsumexp(dim=0)


def ensemble_config(model: dict, count: int) -> dict:
    """Return the config of an ensemble whose members have the same config.

    Args:
        model (dict): Config of a member.
        count (int): Number of members.
    """
    config = dict(type='SegmentorEnsemble', segmentors=[model] * count)
    if 'data_preprocessor' in model:
        config['data_preprocessor'] = model['data_preprocessor']
    return config


def load_segmentors(model: nn.Module, checkpoints: Sequence[str]) -> dict:
    """Load one checkpoint into each segmentor of an ensemble, strictly.

    Args:
        model (nn.Module): A :class:`SegmentorEnsemble`, or a wrapper of one for test-time
            augmentation or several devices.
        checkpoints (Sequence[str]): One path, address or ``hardnet://`` name per segmentor.

    Returns:
        dict: ``meta`` of the first checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        InputError: If a checkpoint is damaged or does not fit the model.
    """
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    metas = [load_whole(*pair) for pair in zip(model.segmentors, checkpoints, strict=True)]
    return metas[0]
