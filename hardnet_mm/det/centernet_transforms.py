"""Augmentation of the original CenterNet-HarDNet program (src/lib/datasets/sample/ctdet.py)."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmdet.datasets.transforms import LoadAnnotations
from mmdet.structures.bbox import autocast_box_type
from mmdet.structures.mask import BitmapMasks

from ..registry import TRANSFORMS
from ..utils.errors import InputError
from .centernet_targets import keep_visible
from .transforms import with_boxes


@TRANSFORMS.register_module()
class LoadOptionalMasks(LoadAnnotations):
    """mmdet's LoadAnnotations, for data in which some boxes or images have no masks.

    A box without a mask (no ``segmentation``, an empty one, or polygons of less than three points)
    gets its rectangle as mask. mmdet 3.3.0 fails or ignores such a box. If no box of an image has a
    mask, the image gets no ``gt_masks``.

    Args:
        with_mask (bool): Whether to load masks. Defaults to True.
        **kwargs: The other arguments of :class:`LoadAnnotations`.
    """

    def __init__(self, with_mask: bool = True, **kwargs: Any) -> None:
        super().__init__(with_mask=with_mask, **kwargs)

    def _load_masks(self, results):
        """Load the masks of ``results['instances']``, if there are any."""
        instances = results.get('instances', [])
        path = results.get('img_path')
        without = [instance for instance in instances if not has_mask(instance, path)]
        if len(without) == len(instances):
            return
        height, width = results['ori_shape']
        for instance in without:
            # within the image: pycocotools crashes where a polygon is too long
            x1, y1, x2, y2 = np.clip(instance['bbox'], 0, [width, height] * 2).tolist()
            instance['mask'] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        super()._load_masks(results)


def has_mask(instance: dict, path: str | None = None) -> bool:
    """Return whether an instance of mmdet's data sets has a mask that can be loaded.

    Raises:
        InputError: If its polygons are no lists. It names the path of the image.
    """
    mask = instance.get('mask')
    if not mask or isinstance(mask, dict):
        return bool(mask)
    if not isinstance(mask, list) or not all(isinstance(polygon, list) for polygon in mask):
        raise InputError(
            f'{path}: a segmentation of its annotations must be a run-length code or a list of '
            f'polygons, each a list of numbers, got {str(mask)[:40]}'
        )
    return any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask)


@TRANSFORMS.register_module()
class RandomScaleShift(BaseTransform):
    """Resize an image at random, and place it at random on a canvas of fixed size.

    The short side is drawn from a list. The long side follows from the aspect ratio, and is
    stretched or shrunk by up to ``distortion``. The image's centre is then moved away from the
    canvas's centre. The largest shift is half of the excess of the image over the canvas, or
    ``min_shift`` of the canvas if that is more. Boxes are not clipped; :class:`VisibleBoxes` does
    that.

    Changes ``img``, ``img_shape``, ``gt_bboxes`` and ``gt_masks``, which become bitmaps.

    Args:
        scale (tuple[int]): Width and height of the canvas, in pixels.
        short_sides (Sequence[int]): Lengths to draw the short side from, in pixels.
        distortion (float): Greatest relative change of the long side. Defaults to 0.6.
        min_shift (float): Shift that is always possible, as a part of the canvas. Defaults to 0.2.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        short_sides: Sequence[int] = range(192, 897, 64),
        distortion: float = 0.6,
        min_shift: float = 0.2,
    ) -> None:
        self.scale = tuple(scale)
        self.short_sides = tuple(short_sides)
        self.distortion = distortion
        self.min_shift = min_shift

    @cache_randomness
    def _draw(self, size):
        """Return the affine map, ``(2, 3)``, of an image of ``size`` (width, height)."""
        size, canvas = np.array(size, float), np.array(self.scale, float)
        long = size.argmax()
        resized = size * (np.random.choice(self.short_sides) / size.min())
        resized[long] *= 1 + np.random.uniform(-self.distortion, self.distortion)
        reach = np.maximum((resized - canvas) / 2, self.min_shift * canvas)
        center = canvas / 2 + np.random.uniform(-1, 1, 2) * reach
        zoom = resized / size
        return np.column_stack([np.diag(zoom), center - zoom * size / 2])

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Warp the image, its boxes and its masks."""
        height, width = results['img'].shape[:2]
        matrix = self._draw((width, height))
        results['img'] = cv2.warpAffine(results['img'], matrix, self.scale)
        results['img_shape'] = results['img'].shape[:2]
        if 'gt_bboxes' in results:
            results['gt_bboxes'].project_(np.vstack([matrix, [0, 0, 1]]))
        if 'gt_masks' in results:
            masks = [
                cv2.warpAffine(mask, matrix, self.scale, flags=cv2.INTER_NEAREST)
                for mask in results['gt_masks'].to_ndarray()
            ]
            results['gt_masks'] = BitmapMasks(masks, *results['img_shape'])
        return results


@TRANSFORMS.register_module()
class VisibleBoxes(BaseTransform):
    """Shrink boxes that the image border cuts to their visible part; drop boxes that get too small.

    A box that loses more than a tenth of its width or height becomes the bounding box of the
    visible part of its mask. If the image has no masks, the box is clipped. All other boxes are
    clipped, too. A box is dropped unless, both in width and in height, more than two positions or
    more than half of it are left.

    Changes ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``, and removes ``gt_masks``,
    which CenterNet does not need any more.

    Args:
        stride (int): Pixels per position of the heatmap. Defaults to 4.
    """

    def __init__(self, stride: int = 4) -> None:
        self.stride = stride

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Apply the rule to every box of the image."""
        boxes = results['gt_bboxes']
        whole_sides = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]) / self.stride
        boxes.clip_(results['img_shape'])
        sides = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]) / self.stride
        if 'gt_masks' in results:
            cut = (sides / (whole_sides + 0.01) < 0.9).any(dim=1)
            visible = results.pop('gt_masks')[cut.numpy()].get_bboxes(type(boxes))
            boxes.tensor[cut] = visible.tensor.to(boxes.tensor)
            sides = (boxes.tensor[:, 2:] - boxes.tensor[:, :2]) / self.stride
        keep = keep_visible(sides, whole_sides)
        return with_boxes(results, boxes[keep], keep)


@TRANSFORMS.register_module()
class CTColorJitter(BaseTransform):
    """Change brightness, contrast and saturation by up to 0.4 in random order, then the lighting.

    The lighting change adds noise with a standard deviation of 0.1 along the principal components
    of ImageNet's colours. Changes ``img``, BGR in 0..255.
    """

    strength = 0.4
    # For BGR in 0..1 (src/lib/datasets/dataset/coco.py).
    eigenvalues = np.array([0.2141788, 0.01817699, 0.00341571])
    eigenvectors = np.array(
        [
            [-0.58752847, -0.69563484, 0.41340352],
            [-0.5832747, 0.00994535, -0.81221408],
            [-0.56089297, 0.71832671, 0.41158938],
        ]
    )

    def transform(self, results: dict) -> dict:
        """Change the image's colours."""
        image = results['img'].astype(np.float32) / 255
        grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None]
        # Brightness blends with black, contrast with the mean, saturation with the grey image.
        blends = [0, grey.mean(), grey]
        for i in np.random.permutation(3):
            share = np.random.uniform(1 - self.strength, 1 + self.strength)
            image = share * image + (1 - share) * blends[i]
        image = image + self.eigenvectors @ (self.eigenvalues * np.random.normal(0, 0.1, 3))
        results['img'] = (image * 255).astype(np.float32)
        return results
