"""CenterNet's test-time flip: maps are averaged, not boxes."""

import torch
from mmdet.models import DetTTAModel

from ..registry import MODELS


@MODELS.register_module()
class CTFlipTTAModel(DetTTAModel):
    """Average heatmap, size and offset over an image and its mirror image, then decode once.

    As PingoLH/CenterNet-HarDNet does (detectors/ctdet.py). A mirrored offset from a position's left
    edge is one from its right edge: 1 - dx.
    """

    def test_step(self, data):
        """Predict a batch.

        Args:
            data (dict): ``inputs`` and ``data_samples``, a list over augmentations of each.

        Returns:
            list[DetDataSample]: One for each image, its boxes in the original image.

        Raises:
            ValueError: If an augmentation flips otherwise than horizontally, or an image was
                padded, so that its mirror image lies elsewhere.
        """
        outputs = []
        for inputs, data_samples in zip(data['inputs'], data['data_samples']):
            batch = dict(inputs=inputs, data_samples=data_samples)
            batch = self.module.data_preprocessor(batch, False)
            features = self.module.extract_feat(batch['inputs'])
            maps = [levels[0] for levels in self.module.bbox_head(features)]
            shape = tuple(batch['inputs'].shape[-2:])
            if any(tuple(sample.img_shape[:2]) != shape for sample in batch['data_samples']):
                raise ValueError('images of different sizes cannot be averaged with their mirrors')
            if batch['data_samples'][0].get('flip'):
                direction = batch['data_samples'][0].flip_direction
                if direction != 'horizontal':
                    raise ValueError(f'only horizontal flips can be averaged, got {direction}')
                maps = [values.flip(-1) for values in maps]
                maps[2][:, 0] = 1 - maps[2][:, 0]
            outputs.append(maps)
        averages = [[torch.stack(maps).mean(dim=0)] for maps in zip(*outputs)]
        samples = batch['data_samples']
        metas = [sample.metainfo for sample in samples]
        results = self.module.bbox_head.predict_by_feat(
            *averages, batch_img_metas=metas, rescale=True
        )
        return self.module.add_pred_to_datasample(samples, results)
