"""The end-to-end model of segmentors."""

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import nn

from ...utils.errors import InputError
from .model import EndToEndModel


class EndToEndSegmentor(EndToEndModel):
    """A segmentor as one function of the images.

    The output is ``labels`` (N, H', W') int64, the classes of the pixels. H' and W' are the size of
    the images before resizing, by the ratio set with :meth:`tested_as`; without it, the tested
    size. If ``model.test_cfg.mode`` is 'slide', the file contains the sliding windows and has a
    fixed image size.

    Args:
        model (nn.Module): The model.
        inside (str): As in :class:`EndToEndModel`.
        classes (Sequence[str], optional): As in :class:`EndToEndModel`.

    Raises:
        ValueError: If ``model.test_cfg.mode`` is neither 'whole' nor 'slide'.
    """

    raw_names, final_names = ('logits',), ('labels',)

    def __init__(self, model, inside='nms', classes=None):
        super().__init__(model, inside, classes)
        mode = model.test_cfg.get('mode', 'whole')
        if mode not in ('whole', 'slide'):
            raise InputError(f"model.test_cfg.mode must be 'whole' or 'slide', got {mode!r}")
        self.any_size = mode == 'whole'
        self.ratios = ((1, 1), (1, 1))

    def tested_as(self, sample):
        """Set the ratio of original and tested size, in height and width, from a data sample."""
        self.ratios = tuple(zip(sample.ori_shape[:2], sample.img_shape[:2]))

    def resizes_otherwise(self, sample):
        """Return whether an image's resize ratio differs from that set by :meth:`tested_as`."""
        return tuple(self._own_size(sample.img_shape[:2])) != tuple(sample.ori_shape[:2])

    def _own_size(self, size):
        # of integers, so that they can stay free, and come out as the images' own size
        return [
            (side * own + tested // 2) // tested for side, (own, tested) in zip(size, self.ratios)
        ]

    def network(self, images):
        """Map normalised images to logits of the same size."""
        shape = images.shape[2:]
        return (self.model.inference(images, [dict(img_shape=shape, ori_shape=shape)]),)

    def finish(self, size, logits):
        """Map logits to the outputs."""
        if any(own != tested for own, tested in self.ratios):
            logits = self._resized(logits, self._own_size(logits.shape[2:]))
        return (self._decided(logits),)

    def _resized(self, logits, size):
        align = self.model.align_corners
        return nn.functional.interpolate(logits, size, mode='bilinear', align_corners=align)

    def _decided(self, logits):
        if self.model.out_channels == 1:  # mmseg's BaseSegmentor.postprocess_result
            head = self.model.decode_head  # several where each refines the last one's map
            head = head[-1] if isinstance(head, nn.ModuleList) else head
            return (logits.sigmoid() > head.threshold)[:, 0].long()
        return logits.argmax(dim=1)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, at the images' own size."""
        for index, sample in enumerate(samples):
            if 'logits' in outputs:  # what follows them is done here, whatever was exported for
                logits = torch.from_numpy(outputs['logits'][index : index + 1])
                labels = self._decided(self._resized(logits, tuple(sample.ori_shape[:2])))
            else:
                labels = torch.from_numpy(outputs['labels'][index : index + 1].astype(np.int64))
            if labels.shape[1:] != tuple(sample.ori_shape[:2]):  # another ratio than exported for
                labels = nn.functional.interpolate(labels[:, None].float(), sample.ori_shape[:2])
                labels = labels[:, 0].long()
            sample.pred_sem_seg = PixelData(data=labels)
        return samples
