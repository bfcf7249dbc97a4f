"""CenterNet's test-time augmentation: average maps over mirror images, merge boxes of scales."""

from itertools import chain

import torch
from mmcv.ops import batched_nms
from mmdet.models import DetTTAModel
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from ..registry import MODELS

# The original's settings for the boxes of several scales (detectors/ctdet.py, external/nms.pyx).
SOFT_NMS = ConfigDict(
    nms=dict(
        type='soft_nms', iou_threshold=0.5, sigma=0.5, min_score=1e-3, method='gaussian', offset=1
    ),
    max_per_img=100,
)


@MODELS.register_module()
class CTFlipTTAModel(DetTTAModel):
    """Average heatmap, size and offset over an image and its mirror image, then decode once.

    PingoLH/CenterNet-HarDNet does the same (detectors/ctdet.py). In the mirror image, the offset
    from a position's left edge becomes that from its right edge, so dx is mirrored to 1 - dx. With
    several scales, each scale is decoded separately, and soft-NMS by class merges all boxes.

    The arguments are those of ``DetTTAModel``.

    Attributes:
        tta_cfg (dict, optional): ``nms`` and ``max_per_img``, applied to the boxes of all scales,
            also if there is only one. Defaults to None: the original's soft-NMS (Gaussian, sigma
            0.5) for several scales, and no NMS for one scale.
    """

    def test_step(self, data: dict) -> list[DetDataSample]:
        """Predict a batch.

        Args:
            data (dict): ``inputs`` and ``data_samples``, each a list over augmentations.
                Augmentations with the same ``scale_factor`` belong to one scale.

        Returns:
            list[DetDataSample]: One per image, with boxes in coordinates of the original image.

        Raises:
            ValueError: If a flip is not horizontal, or if an image was padded, since its mirror
                image would then be at another place.
        """
        scales: dict = {}
        for inputs, samples in zip(data['inputs'], data['data_samples']):
            key = tuple(tuple(sample.get('scale_factor', ())) for sample in samples)
            scales.setdefault(key, []).append((inputs, samples))
        results = [self._predict_scale(views) for views in scales.values()]
        cfg = self.tta_cfg or (SOFT_NMS if len(scales) > 1 else None)
        results = [self.join_scales(each, cfg) for each in zip(*results)]
        samples = next(chain.from_iterable(scales.values()))[1]
        return self.module.add_pred_to_datasample(samples, results)

    def _predict_scale(self, views):
        """Return the detections of each image, ``InstanceData``, from the average of its views."""
        maps, metas = zip(*(self._maps(*view) for view in views))
        averages = [[torch.stack(views).mean(dim=0)] for views in zip(*maps)]
        return self.module.bbox_head.predict_by_feat(
            *averages, batch_img_metas=metas[-1], rescale=True
        )

    def _maps(self, inputs, data_samples):
        """Return the head's maps of a view, mirrored back, and the images' meta information."""
        batch = dict(inputs=inputs, data_samples=data_samples)
        batch = self.module.data_preprocessor(batch, False)
        features = self.module.extract_feat(batch['inputs'])
        maps = [levels[0] for levels in self.module.bbox_head(features)]
        samples, shape = batch['data_samples'], tuple(batch['inputs'].shape[-2:])
        if any(tuple(sample.img_shape[:2]) != shape for sample in samples):
            raise ValueError(
                'images of different sizes cannot be averaged with their mirrors: set '
                'test_dataloader.batch_size to 1'
            )
        if samples[0].get('flip'):
            direction = samples[0].flip_direction
            if direction != 'horizontal':
                raise ValueError(f'only horizontal flips can be averaged, got {direction}')
            maps = [values.flip(-1) for values in maps]
            maps[2][:, 0] = 1 - maps[2][:, 0]
        return maps, [sample.metainfo for sample in samples]

    @staticmethod
    def join_scales(results, cfg):
        """Merge one image's detections of all scales: an ``InstanceData``, best first."""
        results = InstanceData.cat(list(results))
        if cfg is None or len(results) == 0:
            return results
        boxes, keep = batched_nms(results.bboxes, results.scores, results.labels, cfg['nms'])
        results = results[keep]
        results.scores = boxes[:, -1]
        return results[: cfg['max_per_img']]
