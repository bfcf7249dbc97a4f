"""Augmentation of CenterNet-HarDNet's original program (src/lib/datasets/sample/ctdet.py)."""

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
from .centernet_targets import keep_visible
from .transforms import with_boxes


@TRANSFORMS.register_module()
class LoadOptionalMasks(LoadAnnotations):
    """mmdet's LoadAnnotations, with masks where the data has them.

    A box without a mask (no ``segmentation``, an empty one, or polygons of less than three points)
    gets its own rectangle as its mask, where mmdet 3.3.0 fails or ignores the box. An image none of
    whose boxes has a mask gets no ``gt_masks``.

    Args:
        with_mask (bool): Whether to load masks. Defaults to True.
        **kwargs: The other arguments of :class:`LoadAnnotations`.
    """

    def __init__(self, with_mask: bool = True, **kwargs: Any) -> None:
        super().__init__(with_mask=with_mask, **kwargs)

    def _load_masks(self, results):
        """Load the masks of ``results['instances']``, if there are any."""
        instances = results.get('instances', [])
        without = [instance for instance in instances if not has_mask(instance)]
        if len(without) == len(instances):
            return
        for instance in without:
            x1, y1, x2, y2 = instance['bbox']
            instance['mask'] = [[x1, y1, x2, y1, x2, y2, x1, y2]]
        super()._load_masks(results)


def has_mask(instance: dict) -> bool:
    """Tell whether an instance, as mmdet's data sets give it, has a mask that can be loaded."""
    mask = instance.get('mask')
    if isinstance(mask, list):
        return any(len(polygon) >= 6 and len(polygon) % 2 == 0 for polygon in mask)
    return bool(mask)


@TRANSFORMS.register_module()
class RandomScaleShift(BaseTransform):
    """Resize an image at random, and put it somewhere on a canvas of fixed size.

    The short side is drawn from a list; the long side follows it, stretched or shrunk by up to
    ``distortion``. The image's centre is then moved from the canvas's by up to half of what the
    image exceeds the canvas by, but at least by up to ``min_shift`` of the canvas. Boxes are not
    clipped: :class:`VisibleBoxes` does that.

    Changes ``img``, ``img_shape``, ``gt_bboxes`` and ``gt_masks``, which become bitmaps.

    Args:
        scale (tuple[int]): Width and height of the canvas, in pixels.
        short_sides (Sequence[int]): Lengths to draw the short side from, in pixels.
        distortion (float): Greatest relative change of the long side. Defaults to 0.6.
        min_shift (float): Shift that is always possible, of the canvas. Defaults to 0.2.
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
        """Warp the image and all that lies on it."""
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
    """Shrink the boxes that the image's border cuts to what is visible, drop what is too little.

    A box that loses over a tenth of its width or height becomes the bounding box of its mask, or,
    where the image has none, its own part inside. Others are clipped. Those are kept that have
    over two positions, or over half of what they had, both across and down.

    Changes ``gt_bboxes``, ``gt_bboxes_labels`` and ``gt_ignore_flags``, and drops ``gt_masks``,
    which CenterNet has no further use for.

    Args:
        stride (int): Pixels of a position of the heatmap. Defaults to 4.
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
    """Change brightness, contrast and saturation by up to 0.4, in random order, then lighting.

    Lighting adds noise of standard deviation 0.1 along the principal components of ImageNet's
    colours. Changes ``img``, BGR in 0..255.
    """

    strength = 0.4
    # Of BGR in 0..1 (src/lib/datasets/dataset/coco.py).
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
