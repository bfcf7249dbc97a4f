"""One batch through a model of any toolbox: does what a config builds hold together?"""

import torch
from mmengine.registry import DefaultScope

SIZES = dict(mmdet=(256, 256), mmseg=(128, 128), mmpretrain=(224, 224))


def image_size(cfg):
    """Return a small height and width that a config's model takes."""
    anchors = (cfg.model.get('bbox_head') or {}).get('anchor_generator') or {}
    if 'input_size' in anchors:  # an SSD's, whose levels are made for one size
        return anchors.input_size, anchors.input_size
    return SIZES[cfg.default_scope]


def random_batch(scope, size, num_samples=2, views=0):
    """Return what a data loader of a toolbox gives, with random images and annotations.

    Args:
        scope (str): 'mmdet', 'mmseg' or 'mmpretrain'.
        size (tuple[int]): Height and width of the images.
        num_samples (int): Images in the batch. Defaults to 2.
        views (int): Views of each image, for self-supervised training. Defaults to 0: labels.
    """
    if scope == 'mmdet':
        from mmdet.testing import demo_mm_inputs

        return demo_mm_inputs(
            num_samples,
            [(3, *size)] * num_samples,
            num_classes=2,
            with_mask=True,
            with_semantic=True,
        )
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(num_samples)]
    if scope == 'mmpretrain' and views:
        return dict(inputs=[torch.stack(images).float() for _ in range(views)])
    if scope == 'mmseg':
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size)) for _ in images]
        for sample in samples:
            sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, *size)))
    else:
        from mmpretrain.structures import DataSample

        samples = [DataSample().set_gt_label(1) for _ in images]
    return dict(inputs=images, data_samples=samples)


def loss(model, cfg):
    """Return the sum of a training batch's losses, ready for ``backward``."""
    scope = cfg.default_scope
    batch = random_batch(scope, image_size(cfg), views=0 if hasattr(model, 'predict') else 2)
    with DefaultScope.overwrite_default_scope(scope):
        model.train()
        batch = model.data_preprocessor(batch, True)
        return model.parse_losses(model(**batch, mode='loss'))[0]


def predict(model, cfg):
    """Return the predictions of a batch, a data sample an image.

    A self-supervised model predicts nothing: its features are returned.
    """
    scope = cfg.default_scope
    batch = random_batch(scope, image_size(cfg))
    with DefaultScope.overwrite_default_scope(scope), torch.no_grad():
        model.eval()
        if not hasattr(model, 'predict'):
            return model.extract_feat(torch.stack(batch['inputs']).float())
        batch = model.data_preprocessor(batch, False)
        return model(**batch, mode='predict')
