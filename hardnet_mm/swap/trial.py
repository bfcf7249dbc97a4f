"""A trial of a model of any toolbox: one random batch, in training or prediction."""

import copy
import math
import traceback

import numpy as np
import torch
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from ..utils.configs import build_model
from .batches import BATCHES, image_channels, images, takes_video, tracking_batch
from .probe import LARGE, candidate_sizes

SIZES = dict(mmseg=(128, 128), mmpretrain=(224, 224), mmdet3d=(128, 128))
USUAL_SIZE = (256, 256)
# Heads that want an image of another size.
HEAD_SIZES = dict(
    LRASPPHead=(400, 400),  # averages over 49 x 49 positions, at stride 8
    DDODHead=(384, 384),  # its 3 x 3 deformable convolution wants 3 x 3 positions, at stride 128
    LinearReIDHead=(256, 128),  # its neck averages over 8 x 4 positions, at stride 32
)


def image_size(cfg):
    """Return a small height and width, in pixels, that a config's model takes."""
    anchors = (cfg.model.get('bbox_head') or {}).get('anchor_generator') or {}
    if 'input_size' in anchors:  # SSD's levels have one input size
        return anchors.input_size, anchors.input_size
    types = str(cfg.model)
    wanted = [size for name, size in HEAD_SIZES.items() if f"'{name}'" in types]
    return wanted[0] if wanted else SIZES.get(toolbox_of(cfg), USUAL_SIZE)


def toolbox_of(cfg):
    """Return the toolbox of a config's model, which may be another one than of its data."""
    return cfg.model.get('_scope_') or cfg.default_scope


def random_batch(cfg, views=0, training=True, size=None):
    """Return what a config's data loader gives: two images or videos and annotations, all random.

    Args:
        cfg (Config): A config of mmdet, mmseg or mmpretrain.
        views (int): Views of each image for self-supervised training, which has no annotations.
            Defaults to 0: images with annotations.
        training (bool): Whether it is for training, where some trackers take single images.
            Defaults to True.
        size (tuple[int], optional): Height and width. Defaults to None: :func:`image_size`.

    Returns:
        dict: ``inputs``, images of that size, values 0 to 255; and ``data_samples``.
    """
    size = size or image_size(cfg)
    scope = toolbox_of(cfg)
    if scope == 'mmpretrain' and views:
        return dict(
            inputs=[torch.stack(images(size)).float() for _ in range(views)], data_samples=None
        )
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        if takes_video(cfg, training):
            return tracking_batch(cfg, size)
        if scope == 'mmyolo' and not training:  # it stacks its batches in training alone
            scope = 'mmdet'
        return BATCHES[scope](cfg, size)


def branches(batch):
    """Return a semi-supervised model's batch: a labelled branch, and two views without labels."""
    copies = {name: copy.deepcopy(batch) for name in ('sup', 'unsup_teacher', 'unsup_student')}
    for one in copies.values():
        for sample in one['data_samples']:  # no view is warped
            sample.set_metainfo(dict(homography_matrix=np.eye(3, dtype=np.float32)))
    return {key: {name: one[key] for name, one in copies.items()} for key in batch}


def loss(model, cfg):
    """Return the sum of a random training batch's losses, a scalar to call ``backward`` of.

    The model is left in training mode.
    """
    batch = random_batch(cfg, views=0 if hasattr(model, 'predict') else 2)
    if 'semi_train_cfg' in cfg.model:
        batch = branches(batch)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model.train()
        model.data_preprocessor.batch_augments = None  # some read the runner's iteration
        model.data_preprocessor.to_onehot = False  # its integers are for these to mix
        # In training, the runner and a hook set these two.
        MessageHub.get_current_instance().update_info('epoch', 0)
        if hasattr(model, 'set_epoch'):
            model.set_epoch(0)
        batch = model.data_preprocessor(batch, True)
        return model.parse_losses(model(**batch, mode='loss'))[0]


def predict(model, cfg, size=None):
    """Return the predictions for a random batch: a list with a data sample for each image.

    Its images are of :func:`image_size`, unless a height and width are given. A self-supervised
    model predicts nothing. For it, the tuple of feature maps is returned, and likewise for a
    toolbox that no batch is known for. The model is left in evaluation mode.
    """
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
        model.eval()
        if toolbox_of(cfg) not in BATCHES:
            return features(model, cfg, size)
        batch = random_batch(cfg, training=False, size=size)
        if not hasattr(model, 'predict'):
            device = next(model.parameters()).device
            return model.extract_feat(torch.stack(batch['inputs']).float().to(device))
        clip_boxes(model)
        batch = model.data_preprocessor(batch, False)
        return model(**batch, mode='predict')


def predict_on_some_size(model, cfg, backbone):
    """Return the predictions for a small size, or else for one that the config states.

    Args:
        model (nn.Module): The config's.
        cfg (Config): The whole config.
        backbone (ConfigDict): Its backbone.

    Raises:
        Exception: What the model raises on a small size, if it takes no other either.
    """
    stated = [(size.height, size.width) for size in candidate_sizes(cfg, backbone)]
    errors = []
    for size in (None, *(size for size in stated if math.prod(size) <= LARGE)):
        try:
            return predict(model, cfg, size)
        except (RuntimeError, AssertionError, ValueError) as error:
            errors.append(error)
    raise errors[0]


def failure(cfg, backbone):
    """Build a config's model, predict as :func:`predict_on_some_size`, and return what it raises.

    Args:
        cfg (Config): The whole config.
        backbone (ConfigDict): Its backbone.

    Returns:
        Exception: The error; None if the model predicts.
    """
    try:
        predict_on_some_size(build_model(cfg), cfg, backbone)
    except Exception as error:  # whatever a project may raise
        return error
    return None


def is_same_failure(first, second):
    """Tell whether two errors have one type, one message, and come from one line of code."""
    return _identity(first) == _identity(second)


def _identity(error):
    place = traceback.extract_tb(error.__traceback__)[-1]
    return type(error), str(error), place.filename, place.lineno


def features(model, cfg, size=None):
    """Return what a model makes of an image before it decodes it to predictions."""
    shape = (2, image_channels(cfg), *(size or image_size(cfg)))
    batch = torch.rand(shape, device=next(model.parameters()).device)
    return model(batch, mode='tensor')


def clip_boxes(model):
    """Make a model clip its boxes to the image.

    Random weights predict boxes anywhere. mmdet cannot paste the mask of a box outside the image.
    """
    for module in model.modules():
        coder = getattr(module, 'bbox_coder', None)
        if hasattr(coder, 'clip_border'):
            coder.clip_border = True
