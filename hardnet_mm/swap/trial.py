"""One batch through a model of any toolbox: does what a config builds hold together?"""

import copy

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from .batches import BATCHES, images
from .probe import preprocessor

SIZES = dict(mmseg=(128, 128), mmpretrain=(224, 224))
USUAL_SIZE = (256, 256)
# What takes no image as small.
LARGER = dict(
    LRASPPHead=(400, 400),  # averages over 49 x 49 cells, at stride 8
    DDODHead=(
        384,
        384,
    ),  # mmcv's deformable convolution of 3 x 3 wants as many cells, at stride 128
)


def image_size(cfg):
    """Return a small height and width that a config's model takes."""
    anchors = (cfg.model.get('bbox_head') or {}).get('anchor_generator') or {}
    if 'input_size' in anchors:  # an SSD's, whose levels are made for one size
        return anchors.input_size, anchors.input_size
    types = str(cfg.model)
    larger = [size for name, size in LARGER.items() if f"'{name}'" in types]
    return larger[0] if larger else SIZES.get(cfg.default_scope, USUAL_SIZE)


def random_batch(cfg, views=0):
    """Return what a config's data loader gives: two images or videos and annotations, all random.

    Args:
        cfg (Config): The config.
        views (int): Views of each image, for self-supervised training. Defaults to 0: labels.
    """
    size = image_size(cfg)
    if cfg.default_scope == 'mmpretrain' and views:
        return dict(
            inputs=[torch.stack(images(size)).float() for _ in range(views)], data_samples=None
        )
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return BATCHES[cfg.default_scope](cfg, size)


def branches(batch):
    """Return a batch for a semi-supervised model: of labels, and of two views without."""
    copies = {name: copy.deepcopy(batch) for name in ('sup', 'unsup_teacher', 'unsup_student')}
    for one in copies.values():
        for sample in one['data_samples']:  # as its image was
            sample.set_metainfo(dict(homography_matrix=np.eye(3, dtype=np.float32)))
    return {key: {name: one[key] for name, one in copies.items()} for key in batch}


def loss(model, cfg):
    """Return the sum of a training batch's losses, ready for ``backward``."""
    batch = random_batch(cfg, views=0 if hasattr(model, 'predict') else 2)
    if 'semi_train_cfg' in cfg.model:
        batch = branches(batch)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model.train()
        model.data_preprocessor.batch_augments = None  # some ask the runner for the iteration
        # What the runner and a hook tell some detectors.
        MessageHub.get_current_instance().update_info('epoch', 0)
        if hasattr(model, 'set_epoch'):
            model.set_epoch(0)
        batch = model.data_preprocessor(batch, True)
        return model.parse_losses(model(**batch, mode='loss'))[0]


def predict(model, cfg):
    """Return the predictions of a batch, a data sample an image.

    A self-supervised model predicts nothing: its features are returned. So are those of a toolbox
    that no batch is known for.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
        model.eval()
        if cfg.default_scope not in BATCHES:
            return features(model, cfg)
        batch = random_batch(cfg)
        if not hasattr(model, 'predict'):
            device = next(model.parameters()).device
            return model.extract_feat(torch.stack(batch['inputs']).float().to(device))
        clip_boxes(model)
        batch = model.data_preprocessor(batch, False)
        return model(**batch, mode='predict')


def features(model, cfg):
    """Return what a model makes of an image before it decodes it to predictions."""
    depth = len(preprocessor(cfg).get('mean') or RGB)
    batch = torch.rand(2, depth, *image_size(cfg), device=next(model.parameters()).device)
    return model(batch, mode='tensor')


RGB = ('red', 'green', 'blue')


def clip_boxes(model):
    """Let a model's boxes end at the image, as those of a trained one about do.

    Random weights give boxes anywhere, and mmdet cannot paste the mask of one that lies outside of
    the image.
    """
    for module in model.modules():
        coder = getattr(module, 'bbox_coder', None)
        if hasattr(coder, 'clip_border'):
            coder.clip_border = True
