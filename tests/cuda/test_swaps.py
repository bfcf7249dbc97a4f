"""HarDNet in the backbone's place of the toolboxes' configs: a step and a prediction on a GPU."""

import importlib.util
from pathlib import Path

import pytest

from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.places import reach
from hardnet_mm.swap.trial import loss, predict
from hardnet_mm.utils.configs import build_model, read_config, read_inherited

pytestmark = pytest.mark.cuda

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/backbone_swaps.py'
spec = importlib.util.spec_from_file_location('backbone_swaps', TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

NAMES = [f'{toolbox}::{name}.py' for toolbox, names in tool.CONFIGS.items() for name in names]
# One of each kind of head, and those that call mmcv's operators.
CHOSEN = [
    'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py',
    'mmdet::carafe/faster-rcnn_r50_fpn-carafe_1x_coco.py',
    'mmdet::dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py',
    'mmdet::point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
    'mmdet::atss/atss_r50_fpn_1x_coco.py',
    'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
    'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
    'mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py',
    'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py',
    'mmdet::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py',
    'mmseg::pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::psanet/psanet_r50-d8_4xb2-40k_cityscapes-512x1024.py',
    'mmseg::segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512.py',
    'mmpretrain::resnet/resnet50_8xb32_in1k.py',
    'mmpretrain::simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py',
]


def pytest_generate_tests(metafunc):
    if 'config' in metafunc.fixturenames:
        everything = metafunc.config.getoption('--all-swaps')
        metafunc.parametrize('config', NAMES if everything else CHOSEN)


def test_the_chosen_ones_are_of_the_list():
    assert set(CHOSEN) <= set(NAMES) - set(tool.REFUSED)


def test_a_step_and_a_prediction(device, config):
    if device.type == 'cpu' and config.startswith(('mmseg::psanet', 'mmseg::pspnet')):
        pytest.skip('takes minutes on a CPU')
    cfg = read_config(config)
    if config in tool.REFUSED:
        pytest.skip('HarDNet cannot take its place')
    plan = plan_swap(cfg, 'hardnet39ds')
    swapped = read_inherited(config, plan.differences)
    reach(swapped.model, plan.keys).pop('frozen_stages', None)
    model = build_model(swapped).to(device)
    total = loss(model, swapped)
    assert total.isfinite() and total.device.type == device.type
    total.backward()
    gradient = getattr(model, 'student', model).backbone.stem[0].conv.weight.grad
    assert gradient.isfinite().all() and gradient.any()
    assert len(predict(model, swapped)) > 0
