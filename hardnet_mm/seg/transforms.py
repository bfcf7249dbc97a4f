"""Augmentation of the FC-HarDNet programs, where it differs from mmseg's."""

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageEnhance

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class PadBothSides(BaseTransform):
    """Pad an image that is smaller than the crop, on each side by the full difference.

    The image is then at a random place of the random crop that follows. The padding is applied
    before normalisation (PingoLH/FCHarDNet, augmentations.py). mmseg pads the normalised image, at
    the right and at the bottom.

    Required keys: img, img_shape, gt_seg_map. All are modified.

    Args:
        crop_size (tuple[int]): Height and width of the crop.
        pad_val (int): Value of the image's padding, before normalisation. Defaults to 0.
        seg_pad_val (int): Class of the padding. Defaults to 255, which losses ignore.
    """

    def __init__(self, crop_size, pad_val=0, seg_pad_val=255):
        self.crop_size = crop_size
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def transform(self, results: dict) -> dict:
        """Pad the image, ``(H, W, C)``, and the classes, ``(H, W)``."""
        height, width = (
            max(wanted - side, 0) for wanted, side in zip(self.crop_size, results['img'].shape)
        )
        if height or width:
            padding = (width, height, width, height)
            results['img'] = mmcv.impad(results['img'], padding=padding, pad_val=self.pad_val)
            results['img_shape'] = results['img'].shape[:2]
            for key in results.get('seg_fields', []):
                classes = results[key]
                results[key] = mmcv.impad(classes, padding=padding, pad_val=self.seg_pad_val)
        return results


@TRANSFORMS.register_module()
class PillowColorJitter(BaseTransform):
    """Change brightness, contrast, saturation and hue as Pillow does, in random order.

    Each step is applied independently with the same probability, in 8 bits (PaddleSeg,
    transforms.py).

    Required key: img, BGR uint8, which is modified.

    Args:
        brightness (float): Maximum difference of the factor from 1. Defaults to 0.4.
        contrast (float): Maximum difference of the factor from 1. Defaults to 0.4.
        saturation (float): Maximum difference of the factor from 1. Defaults to 0.4.
        hue (float): Maximum shift, where 256 is a full circle. Defaults to 18.
        prob (float): Probability of each step. Defaults to 0.5.
    """

    def __init__(self, brightness=0.4, contrast=0.4, saturation=0.4, hue=18, prob=0.5):
        self.factors = {
            ImageEnhance.Brightness: brightness,
            ImageEnhance.Contrast: contrast,
            ImageEnhance.Color: saturation,
        }
        self.hue = hue
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Change the image, ``(H, W, 3)``."""
        steps = [*self.factors, self.shift_hue]
        image = Image.fromarray(np.ascontiguousarray(results['img'][..., ::-1]))
        for number in np.random.permutation(len(steps)):
            if np.random.random() < self.prob:
                image = self._change(image, steps[number])
        results['img'] = np.ascontiguousarray(np.asarray(image)[..., ::-1])
        return results

    def _change(self, image, step):
        if step not in self.factors:
            return step(image, np.random.uniform(-self.hue, self.hue))
        most = self.factors[step]
        return step(image).enhance(np.random.uniform(1 - most, 1 + most))

    @staticmethod
    def shift_hue(image, shift):
        """Shift the hue of a Pillow image, where 256 is a full circle."""
        hue, *others = image.convert('HSV').split()
        turned = np.asarray(hue).astype(np.float64) + shift
        hue = Image.fromarray(turned.astype(np.int64).astype(np.uint8))  # around the circle
        return Image.merge('HSV', (hue, *others)).convert('RGB')
