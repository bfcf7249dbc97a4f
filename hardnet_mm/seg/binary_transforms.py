"""Transforms for masks with one foreground class, with hard or soft values."""

from collections.abc import Sequence
from typing import Any

import cv2
import mmcv
import mmengine.fileio as fileio
import numpy as np
from mmcv.transforms import BaseTransform, Resize
from mmseg.datasets.transforms import LoadAnnotations, PackSegInputs

from ..registry import TRANSFORMS
from ..utils.errors import InputError
from .binary_masks import FOREGROUND, decode_mask


@TRANSFORMS.register_module()
class LoadBinaryMask(LoadAnnotations):
    """Load a mask with one foreground class, in any encoding.

    :func:`~hardnet_mm.seg.binary_masks.decode_mask` describes the encodings. Pixels brighter than
    128 of 255 are foreground. mmseg's ``LoadAnnotations`` reads values as class indices instead.

    Required keys: seg_map_path, seg_fields, and the image's ori_shape. Added key: gt_seg_map,
    ``(H, W)`` uint8. Without seg_map_path nothing is added.

    Args:
        soft (bool): Whether to return values from 0 to 255, as :class:`ResizeSoftMask` and
            :class:`PackSoftMask` need them. Defaults to False: the values are 0 and 1.
        foreground (Sequence[int], optional): Class indices that are foreground. With it, values of
            the mask are class indices. Defaults to None.
        **kwargs: The other arguments of ``LoadAnnotations``.
    """

    def __init__(
        self, soft: bool = False, foreground: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.soft = soft
        self.foreground = foreground

    def _load_seg_map(self, results: dict) -> None:
        if 'seg_map_path' not in results:  # an image to predict: mmseg also skips its loader then
            return
        path = results['seg_map_path']
        mask = decode_mask(fileio.get(path, self.backend_args), path, self.foreground)
        image_size = tuple(results.get('ori_shape', mask.shape)[:2])
        if mask.shape != image_size:
            sizes = ['{} x {}'.format(*size) for size in (mask.shape, image_size)]
            raise InputError(
                f'the mask {path} has {sizes[0]} pixels, and its image '
                f'{results.get("img_path", "")} {sizes[1]}: they must agree'
            )
        results['gt_seg_map'] = mask if self.soft else (mask > FOREGROUND).astype(np.uint8)
        results['seg_fields'].append('gt_seg_map')


@TRANSFORMS.register_module()
class ResizeSoftMask(Resize):
    """Resize an image and its soft mask with the same interpolation.

    mmcv's ``Resize`` uses nearest-neighbour interpolation for masks. With ``backend='pillow'``,
    downscaling is antialiased, as in the programs of PraNet and HarDNet-MSEG.

    Required keys: img, and gt_seg_map if there is a mask, ``(H, W)`` uint8. Both are modified.
    """

    def _resize_seg(self, results: dict) -> None:
        if results.get('gt_seg_map') is None:
            return
        resize = mmcv.imrescale if self.keep_ratio else mmcv.imresize
        results['gt_seg_map'] = resize(
            results['gt_seg_map'],
            results['scale'],
            interpolation=self.interpolation,
            backend=self.backend,
        )


@TRANSFORMS.register_module()
class RandomShiftScaleRotate(BaseTransform):
    """Shift, scale and rotate an image and its mask at random, with reflection at the borders.

    The image rotates around its centre. Soft masks are interpolated as the image is. mmseg's
    ``RandomRotate`` only rotates, and fills the borders with a constant.

    Required keys: img, and gt_seg_map if there is a mask, ``(H, W)``. Both are modified. Their size
    does not change.

    Args:
        prob (float): Probability that an image is changed. Defaults to 0.5.
        shift (float): Maximum shift, as a part of each side. Defaults to 0.1.
        scale (float): Maximum difference of the scale from 1. Defaults to 0.1.
        degree (float): Maximum angle in degrees. Defaults to 45.
    """

    def __init__(
        self, prob: float = 0.5, shift: float = 0.1, scale: float = 0.1, degree: float = 45
    ) -> None:
        self.prob = prob
        self.shift = shift
        self.scale = scale
        self.degree = degree

    def transform(self, results: dict) -> dict:
        """Change the image and its mask, or neither."""
        if np.random.random() >= self.prob:
            return results
        height, width = results['img'].shape[:2]
        angle, factor, *shifts = np.random.uniform(-1, 1, 4)
        centre = ((width - 1) / 2, (height - 1) / 2)
        matrix = cv2.getRotationMatrix2D(centre, self.degree * angle, 1 + self.scale * factor)
        matrix[:, 2] += self.shift * np.array(shifts) * (width, height)
        for key in ('img', 'gt_seg_map'):
            if results.get(key) is not None:
                results[key] = cv2.warpAffine(
                    results[key], matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101
                )
        return results


@TRANSFORMS.register_module()
class PackSoftMask(PackSegInputs):
    """Pack an image and its mask, whose values from 0 to 255 become 0 to 1.

    ``gt_sem_seg`` is float32. In mmseg's ``PackSegInputs`` it has class indices.
    """

    def transform(self, results: dict) -> dict:
        """Pack the inputs and the data sample."""
        packed = super().transform(results)
        sample = packed['data_samples']
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data = sample.gt_sem_seg.data.float() / 255
        return packed
