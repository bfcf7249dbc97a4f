"""Augmentation of the original SSD programs that mmdet has no switch for."""

from mmdet.datasets.transforms import PhotoMetricDistortion

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class SSDColorDistortion(PhotoMetricDistortion):
    """mmdet's photometric distortion without its random swap of the colour channels.

    The original (lzx1413/PytorchSSD, data_augment) changes brightness, contrast, hue and
    saturation only. mmdet 3.3.0 cannot switch the swap off.
    """

    def _random_flags(self):
        flags = list(super()._random_flags())
        flags[5] = 0  # swap_flag
        return flags
