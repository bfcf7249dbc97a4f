"""Masks of one foreground in a pipeline of mmseg, hard or soft."""

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
    """Load a mask of a background and one foreground, in any coding.

    :func:`~hardnet_mm.seg.binary_masks.decode_mask` has the codings and the rule: what is brighter
    than 128 of 255 is foreground. mmseg's ``LoadAnnotations`` takes values for numbers of classes.

    Required keys: seg_map_path, seg_fields, and ori_shape, the image's. Added: gt_seg_map,
    ``(H, W)`` uint8. An image without seg_map_path stays without a mask.

    Args:
        soft (bool): Whether to keep values between background and foreground, 0 to 255, as
            :class:`ResizeSoftMask` and :class:`PackSoftMask` take them. Defaults to False: 0 and 1.
        foreground (Sequence[int], optional): The numbers of the classes that are foreground, where
            values are numbers of classes. Defaults to None.
        **kwargs: The other arguments of ``LoadAnnotations``.
    """

    def __init__(
        self, soft: bool = False, foreground: Sequence[int] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.soft = soft
        self.foreground = foreground

    def _load_seg_map(self, results: dict) -> None:
        if 'seg_map_path' not in results:  # an image to predict: mmseg leaves out its own loader
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
    """Resize an image and its soft mask, which is interpolated as the image is.

    mmcv's ``Resize`` takes the nearest value of a mask. ``backend='pillow'`` averages over what it
    leaves out where it makes images smaller, as the programs of PraNet and HarDNet-MSEG do.

    Required keys: img, and gt_seg_map where there is one, ``(H, W)`` uint8. Both are modified.
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
    """Move, scale and turn an image and its mask; what is missing is mirrored.

    The image turns around its centre. Soft masks are interpolated as the image is. mmseg's
    ``RandomRotate`` only turns, and fills.

    Required keys: img, and gt_seg_map where there is one, ``(H, W)``. Both are modified; their size
    stays.

    Args:
        prob (float): Probability of it. Defaults to 0.5.
        shift (float): Greatest shift, as a part of each side. Defaults to 0.1.
        scale (float): Greatest change of the factor 1. Defaults to 0.1.
        degree (float): Greatest angle. Defaults to 45.
    """

    def __init__(
        self, prob: float = 0.5, shift: float = 0.1, scale: float = 0.1, degree: float = 45
    ) -> None:
        self.prob = prob
        self.shift = shift
        self.scale = scale
        self.degree = degree

    def transform(self, results: dict) -> dict:
        """Change the image and its mask, or leave both."""
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
    """Pack an image, and its mask of 0 to 255 as a soft one of 0 to 1.

    ``gt_sem_seg`` is float32; that of mmseg's ``PackSegInputs`` is the number of a class.
    """

    def transform(self, results: dict) -> dict:
        """Pack the inputs and the data sample."""
        packed = super().transform(results)
        sample = packed['data_samples']
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg.data = sample.gt_sem_seg.data.float() / 255
        return packed
