"""SSD with its settings, and detectors of mmdet."""

import copy

import pytest
from helpers.exported import (
    assert_exports,
    assert_predicts_as,
    changed,
    deployed,
    filled,
    in_pytorch,
    items,
    predictions,
    random_images,
)

from hardnet_mm import HarDNet
from hardnet_mm.export.compare import compare
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.utils.configs import build_model, read_config


@pytest.mark.parametrize(
    'options, clip',
    [
        (dict(nms_pre=20), True),
        (dict(max_per_class=2), True),
        (dict(nms=dict(iou_threshold=0.2, split_thr=50)), False),
        (dict(score_thr=0.1, max_per_img=7), False),
    ],
    ids=str,
)
def test_settings_of_ssd_are_inside(models, tmp_path, options, clip):
    test_cfg = {f'model__test_cfg__{key}': value for key, value in options.items()}
    model, cfg = changed(
        models, 'ssd_hardnet', model__bbox_head__bbox_coder__clip_border=clip, **test_cfg
    )
    assert_exports(model, cfg, tmp_path / 'model.onnx', random_images(2), (100, 150))


# Swapped detectors of mmdet: their last convolutions, and what those are scaled by for boxes within
# the image and scores that differ.
SWAPPED = dict(
    retinanet=('retinanet_hardnet68_fpn_1x_coco', dict(retina_cls=0.2, retina_reg=0.05)),
    fcos=('fcos_hardnet68_fpn_gn-head_1x_coco', dict(conv_cls=1.5, conv_reg=5.0)),
    rtmdet=('rtmdet_hardnet68_8xb32-300e_coco', dict(rtm_cls=0.2, rtm_reg=0.01)),
    yolox=(
        'yolox_hardnet68_8xb8-300e_coco',
        dict(multi_level_conv_cls=1.0, multi_level_conv_reg=0.1, multi_level_conv_obj=0.5),
    ),
)


@pytest.fixture(scope='module')
def swapped(root):
    """The detectors on a small HarDNet, each built once."""
    built = {}

    def get(name):
        if name not in built:
            config, scales = SWAPPED[name]
            cfg = read_config(str(root / f'configs/toolbox_models/{config}.py'))
            backbone = cfg.model.backbone
            backbone.arch = 'hardnet39ds'
            indices = backbone.get('out_indices', (0, 1, 2, 3))
            cfg.model.neck.in_channels = list(HarDNet('hardnet39ds', out_indices=indices).channels)
            cfg.model.bbox_head.update(num_classes=7, stacked_convs=1)
            cfg.model.test_cfg.nms_pre = 300  # of a level, which has more
            model = filled(build_model(cfg))
            for key, weight in model.bbox_head.named_parameters():
                if key.endswith('weight') and key.partition('.')[0] in scales:
                    weight.data *= scales[key.partition('.')[0]]
            built[name] = model, cfg
        return built[name]

    return get


# those decode by points; RetinaNet is quicker
@pytest.mark.parametrize(
    'name',
    [pytest.param(name, marks=[pytest.mark.slow] * (name != 'retinanet')) for name in SWAPPED],
)
def test_detectors_of_mmdet(swapped, tmp_path, name):
    """They predict from a file as in mmdet."""
    model, cfg = swapped(name)
    images = random_images(1, (96, 128))
    assert_exports(model, cfg, tmp_path / 'model.onnx', images, (100, 150))
    (found,) = predictions(model, items(cfg, images))
    scores = found.pred_instances.scores
    assert len(set(scores.tolist())) > 10  # or nothing was compared
    assert len(set(found.pred_instances.labels.tolist())) > 1


def test_scores_are_cut_off_before_they_are_weighted(swapped):
    """FCOS multiplies by centerness what the threshold left, and detects what is below it then."""
    model, cfg = swapped('fcos')
    model = copy.deepcopy(model)
    images = random_images(1, (96, 128))
    (found,) = predictions(model, items(cfg, images))
    threshold = found.pred_instances.scores.median().item()
    model.bbox_head.test_cfg.update(score_thr=threshold, max_per_img=1000)
    (found,) = predictions(model, items(cfg, images))
    assert (found.pred_instances.scores < threshold).any()
    end_to_end = deployed(model)
    assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), items(cfg, images))


@pytest.mark.parametrize('name', ['ssd_hardnet', 'retinanet'])
def test_a_file_that_forgets_a_limit_is_found(models, swapped, name):
    """The comparison tells what is beyond nms_pre from what is at it."""
    model, cfg = models(name) if name == 'ssd_hardnet' else swapped(name)
    model = copy.deepcopy(model)
    end_to_end = deployed(model)
    end_to_end.nms_pre, end_to_end.score_thr = 10_000, 0.0
    model.bbox_head.test_cfg.update(nms_pre=2, score_thr=0.0)
    (entry,) = items(cfg, random_images(1, (96, 128)))
    assert compare(end_to_end, in_pytorch(end_to_end), model, entry).differences


def test_a_class_that_is_not_the_best_of_its_prior_is_found(swapped):
    """In YOLOX a prior has one class, the comparison counts another one."""
    model, cfg = swapped('yolox')
    end_to_end = deployed(model)
    (entry,) = items(cfg, random_images(1, (96, 128)))
    end_to_end.kept = lambda scores, maps: scores
    assert compare(end_to_end, in_pytorch(end_to_end), model, entry).differences


def test_a_head_that_predicts_in_its_own_way_is_refused(swapped):
    """What it decides otherwise would be wrong in a file."""
    model, _ = swapped('retinanet')
    model = copy.deepcopy(model)

    class OwnHead(type(model.bbox_head)):
        def _bbox_post_process(self, results, *args, **kwargs):
            return super()._bbox_post_process(results, *args, **kwargs)[:3]

    model.bbox_head.__class__ = OwnHead
    with pytest.raises(ValueError, match='RetinaNet with a OwnHead cannot be exported here'):
        build_end_to_end(model)
