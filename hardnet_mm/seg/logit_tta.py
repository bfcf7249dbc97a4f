"""Test-time augmentation that averages class scores."""

import torch
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel

from ..registry import MODELS


@MODELS.register_module()
class LogitSegTTAModel(SegTTAModel):
    """Average the logits of an image's variants, as PingoLH/FCHarDNet does for flips.

    mmseg's ``SegTTAModel`` averages probabilities. A model with one channel only returns
    probabilities, so for such a model this class averages these.
    """

    def merge_preds(self, data_samples_list: list) -> list:
        """Merge the predictions of each image's variants.

        Args:
            data_samples_list (list[list[SegDataSample]]): The variants of each image. The first
                variant has the ground truth.

        Returns:
            list[SegDataSample]: The first variant of each image, with the mean as ``seg_logits``
            and its classes as ``pred_sem_seg``.
        """
        merged = []
        for first, *others in data_samples_list:
            scores = [sample.seg_logits.data for sample in (first, *others)]
            mean = torch.stack(scores).mean(dim=0)
            if self.module.out_channels > 1:
                classes = mean.argmax(dim=0, keepdim=True)
            else:
                classes = (mean > self.module.decode_head.threshold).to(mean)
            first.seg_logits = PixelData(data=mean)
            first.pred_sem_seg = PixelData(data=classes)
            merged.append(first)
        return merged
