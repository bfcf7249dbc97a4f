"""Boxes and augmentation of the original SSD program (lzx1413/PytorchSSD, data/)."""

import math
from collections.abc import Sequence
from copy import deepcopy

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform, Compose
from mmcv.transforms.utils import avoid_cache_randomness, cache_randomness
from mmdet.structures.bbox import BaseBoxes, HorizontalBoxes, autocast_box_type
from torch import Tensor

from ..registry import TRANSFORMS
from ..utils.errors import InputError

TRIES = 50  # of a crop or an expansion


@TRANSFORMS.register_module()
class InclusiveBoxes(BaseTransform):
    """Convert boxes to inclusive coordinates: x2 = x1 + width - 1, clipped to the last pixel.

    The original program reads COCO's boxes in this way. Put the transform after
    ``LoadAnnotations``, and set ``inclusive_boxes=True`` in the head. The head checks this by the
    mark ``inclusive_boxes``, if ``meta_keys`` of ``PackDetInputs`` names it. mmdet already reads
    Pascal VOC's boxes in this way.

    Changes ``gt_bboxes``, and adds ``inclusive_boxes``.
    """

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Shorten every box by a pixel."""
        boxes = results['gt_bboxes'].tensor
        height, width = results['img_shape'][:2]
        first = boxes[:, :2].clamp(min=0)
        last = first + (boxes[:, 2:] - boxes[:, :2] - 1).clamp(min=0)
        last = torch.minimum(last, last.new_tensor([width - 1, height - 1]))
        results['gt_bboxes'] = HorizontalBoxes(torch.cat([first, last], dim=1))
        results['inclusive_boxes'] = True
        return results


@TRANSFORMS.register_module()
class TrainIgnoredBoxes(BaseTransform):
    """Train on the boxes that mmdet ignores, as the originals do.

    These are COCO's crowd regions and Pascal VOC's difficult objects. Use it in training pipelines
    only: in a test pipeline it would change the metrics. Changes ``gt_ignore_flags``.
    """

    def transform(self, results: dict) -> dict:
        """Clear the ignore flags."""
        results['gt_ignore_flags'] = np.zeros_like(results['gt_ignore_flags'])
        return results


@TRANSFORMS.register_module()
class AugmentOrKeep(BaseTransform):
    """Apply transforms to an image and its boxes, unless no box would be left.

    A box is dropped if its width is at most ``min_side`` of the image's width, or its height at
    most ``min_side`` of the image's height. If an image has no box, or none would be left, the
    image and all its boxes are not changed.

    Args:
        transforms (list[dict]): Configs of the transforms.
        min_side (float): Minimum side of a box, as a part of the image's side. Defaults to 0.01.
    """

    def __init__(self, transforms: list[dict], min_side: float = 0.01) -> None:
        self.transforms = Compose(transforms)
        self.min_side = min_side

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Return the augmented image and boxes, or the unchanged ones."""
        if len(results['gt_bboxes']) == 0:
            return results
        augmented = self.transforms(deepcopy(results))
        boxes = augmented['gt_bboxes'].tensor
        height, width = augmented['img_shape'][:2]
        sides = (boxes[:, 2:] - boxes[:, :2]) / boxes.new_tensor([width, height])
        keep = (sides > self.min_side).all(dim=1)
        return with_boxes(augmented, augmented['gt_bboxes'][keep], keep) if keep.any() else results


@TRANSFORMS.register_module()
@avoid_cache_randomness  # what is drawn again, because it does not fit, would be the same for ever
class SSDCrop(BaseTransform):
    """Crop an image at random, with a minimum IoU of crop and boxes that is drawn at random.

    One of these choices is drawn with equal probability: no crop, one of ``min_ious``, or a crop
    without a minimum IoU. The crop's scale is ``min_scale`` to 1. Its aspect ratio is 1/2 to 2
    times that of the image, within the image's sides. The crop must contain the centre of a box.
    Boxes whose centre it contains are clipped, others dropped. If :data:`TRIES` crops do not fit,
    the choice is drawn again.

    Changes ``img``, ``img_shape``, ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``.

    Args:
        min_ious (Sequence[float]): The minimum IoUs. Defaults to (0.1, 0.3, 0.5, 0.7, 0.9).
        min_scale (float): Minimum scale. Defaults to 0.3.

    Raises:
        InputError: If the image has masks or a segmentation map, which would not be cropped.
    """

    def __init__(
        self, min_ious: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9), min_scale: float = 0.3
    ) -> None:
        self.modes = (None, *min_ious, -math.inf)
        self.min_scale = min_scale

    def _draw_mode(self):
        return self.modes[np.random.randint(len(self.modes))]

    def _draw_crop(self, width, height):
        """Return a random crop, x1 y1 x2 y2, in integer pixels."""
        sides = _stretch(np.random.uniform(self.min_scale, 1), width, height)
        sides = np.clip(sides, 1, [max(width - 1, 1), max(height - 1, 1)])
        corner = np.random.randint([max(width - sides[0], 1), max(height - sides[1], 1)])
        return np.concatenate([corner, corner + sides])

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Crop the image and its boxes."""
        _refuse_masks(self, results)
        boxes = results['gt_bboxes']
        if len(boxes) == 0:
            return results
        height, width = results['img'].shape[:2]
        while (min_iou := self._draw_mode()) is not None:
            for _ in range(TRIES):
                crop = self._draw_crop(width, height)
                inside = self._accepts(crop, boxes, min_iou)
                if inside is not None:
                    return self._cropped(results, crop, inside)
        return results

    @staticmethod
    def _accepts(crop, boxes, min_iou):
        """Return which boxes have their centre in a crop; None if the crop is not acceptable."""
        crop = boxes.tensor.new_tensor(crop)
        overlaps = HorizontalBoxes.overlaps(HorizontalBoxes(crop[None]), boxes)
        if overlaps.min() < min_iou:
            return None
        inside = ((boxes.centers > crop[:2]) & (boxes.centers < crop[2:])).all(dim=1)
        return inside if inside.any() else None

    @staticmethod
    def _cropped(results, crop, inside):
        x1, y1, x2, y2 = crop.tolist()
        results['img'] = results['img'][y1:y2, x1:x2]
        results['img_shape'] = results['img'].shape[:2]
        boxes = results['gt_bboxes'][inside]
        boxes.translate_([-x1, -y1])
        boxes.clip_(results['img_shape'])
        return with_boxes(results, boxes, inside)


@TRANSFORMS.register_module()
class SSDExpand(BaseTransform):
    """Place an image at random on a canvas of up to ``max_scale`` times its sides.

    The canvas's sides are the image's sides times a scale from 1 to ``max_scale``. One side is then
    multiplied and the other divided by a ratio whose square is from 1/2 to 2, as far as no side
    gets shorter than the image's.

    Changes ``img``, ``img_shape`` and ``gt_bboxes``.

    Args:
        mean (Sequence[float]): Colour of the canvas, in the image's channel order.
        max_scale (float): Maximum scale. Defaults to 4.
        prob (float): Probability that an image is expanded. Defaults to 0.6.

    Raises:
        InputError: If the image has masks or a segmentation map, which would not be expanded.
    """

    def __init__(self, mean: Sequence[float], max_scale: float = 4, prob: float = 0.6) -> None:
        self.mean = tuple(mean)
        self.max_scale = max_scale
        self.prob = prob

    @cache_randomness
    def _draw(self, width, height):
        """Return width and height of the canvas, and x and y of the image's corner on it."""
        sides = _stretch(np.random.uniform(1, self.max_scale), width, height)
        sides = np.maximum(sides, [width, height])  # what rounding took
        corner = np.random.randint(sides - [width, height] + 1)
        return sides, corner

    @cache_randomness
    def _acts(self):
        return np.random.uniform() <= self.prob

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Expand the image and move its boxes."""
        _refuse_masks(self, results)
        if not self._acts():
            return results
        image = results['img']
        height, width = image.shape[:2]
        (canvas_width, canvas_height), (x, y) = self._draw(width, height)
        canvas = np.empty((canvas_height, canvas_width, image.shape[2]), image.dtype)
        canvas[:] = self.mean
        canvas[y : y + height, x : x + width] = image
        results['img'], results['img_shape'] = canvas, canvas.shape[:2]
        results['gt_bboxes'].translate_([x, y])
        return results


@TRANSFORMS.register_module()
class SSDColorDistortion(BaseTransform):
    """Change brightness, contrast, hue and saturation, in this order, each with probability 0.5.

    After each step values are clipped and truncated to 8 bits. Hue changes in steps of 2 degrees,
    the unit of OpenCV's 8-bit hue. Changes ``img``, BGR uint8.

    Args:
        brightness_delta (float): Maximum that is added, of 255. Defaults to 32.
        contrast_range (tuple[float]): Range of the factor. Defaults to (0.5, 1.5).
        saturation_range (tuple[float]): Range of the factor. Defaults to (0.5, 1.5).
        hue_delta (int): Maximum number of steps of 2 degrees. Defaults to 18.

    Raises:
        InputError: If the image is not uint8.
    """

    def __init__(
        self,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
    ) -> None:
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta

    @cache_randomness
    def draw(self) -> tuple:
        """Draw the added brightness, contrast factor, steps of hue, and saturation factor."""
        acts = np.random.randint(2, size=4)
        added = np.random.uniform(-self.brightness_delta, self.brightness_delta)
        contrast = np.random.uniform(*self.contrast_range)
        steps = np.random.randint(-self.hue_delta, self.hue_delta + 1)
        saturation = np.random.uniform(*self.saturation_range)
        values = zip(acts, (added, contrast, steps, saturation), (0, 1, 0, 1))
        return tuple(value if act else unchanged for act, value, unchanged in values)

    def transform(self, results: dict) -> dict:
        """Change the image's colours."""
        image = results['img']
        if image.dtype != np.uint8:
            raise InputError(
                f'SSDColorDistortion needs images of uint8, got {image.dtype}: take to_float32 '
                'from LoadImageFromFile, and put it before what makes floats'
            )
        added, contrast, steps, saturation = self.draw()
        image = _in_8_bits(_in_8_bits(image, 1, added), contrast, 0)
        hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + steps) % 180
        hsv[..., 1] = _in_8_bits(hsv[..., 1], saturation, 0)
        results['img'] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)
        return results


def _in_8_bits(image, factor, added):
    """Return ``image * factor + added``, clipped and truncated to 8 bits."""
    if factor == 1 and added == 0:
        return image
    return np.clip(image * factor + added, 0, 255).astype(np.uint8)


def _stretch(scale, width, height):
    """Return width and height in integer pixels, scaled and changed by a random ratio.

    The ratio's square is drawn from 1/2 to 2, limited so that with a scale above 1 no side gets
    shorter than the given one, and with a scale below 1 none longer.
    """
    square = min(scale, 1 / scale) ** 2
    ratio = math.sqrt(np.random.uniform(max(0.5, square), min(2, 1 / square)))
    return np.array([int(scale * ratio * width), int(scale / ratio * height)])


def with_boxes(results: dict, boxes: BaseBoxes, keep: Tensor) -> dict:
    """Set the boxes, and select their labels and ignore flags.

    Args:
        results (dict): The pipeline's results.
        boxes (BaseBoxes): The new boxes.
        keep (Tensor): For each old box, whether it is among the new ones; bool.
    """
    results['gt_bboxes'] = boxes
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        if key in results:
            results[key] = results[key][keep.numpy()]
    return results


def _refuse_masks(transform, results):
    found = [key for key in ('gt_masks', 'gt_seg_map') if key in results]
    if found:
        raise InputError(
            f'{type(transform).__name__} changes boxes, not {" and ".join(found)}: load boxes '
            'alone, LoadAnnotations(with_bbox=True)'
        )
