import pytest
import torch

from hardnet_mm.benchmark.measure import count_macs, interleave, peak_memory, spread
from hardnet_mm.benchmark.models import Subject, published_result
from hardnet_mm.benchmark.presets import PRESETS
from hardnet_mm.utils.configs import build_model, read_config


def test_runs_are_interleaved():
    order = []
    functions = [lambda: order.append('a'), lambda: order.append('b')]
    times = interleave(functions, runs=3, warmup=1)
    assert order == list('abababab')
    assert [len(seconds) for seconds in times] == [3, 3]


def test_spread():
    assert spread([0.5]) == [0.5, 0.5]
    assert spread([float(i) for i in range(11)]) == (1, 9)


def test_work_is_that_of_convolutions():
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1, bias=False), torch.nn.BatchNorm2d(8)
    ).eval()
    assert count_macs(model, torch.zeros(1, 3, 10, 20)) == 3 * 8 * 9 * 200


def test_peak_memory_counts_what_is_freed_again():
    size = 64 * 2**20
    grown = peak_memory(lambda: torch.zeros(size // 4).add_(1))
    if grown is None:
        pytest.skip('no /proc')
    assert 0.9 * size < grown < 1.5 * size


def test_published_results():
    assert published_result('hardnet_mm::fchardnet70_cityscapes.py') == (
        '77.7 mIoU, Cityscapes (hardnet_mm)'
    )
    assert (
        published_result('mseg_hardnet68_kvasir.py') == '84.8 mIoU, Kvasir-SEG 880/120 (hardnet_mm)'
    )
    assert (
        published_result('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py') == '36.5 AP, COCO (mmdet)'
    )
    assert 'mIoU, Cityscapes (mmseg)' in published_result(
        PRESETS['segmentors']['configs']['PIDNet-S']
    )
    assert published_result('digits/ssd_hardnet_digits.py') == ''


@pytest.mark.parametrize('name', PRESETS)
def test_presets_name_configs(name):
    preset = PRESETS[name]
    for model, config in preset['configs'].items():
        assert 'model' in read_config(config, preset.get('options', {}).get(model))


def test_a_detector_with_proposals():
    """Its raw outputs depend on the image's size, which goes with it."""
    cfg = read_config('hardnet_mm::toolbox_models/faster-rcnn_hardnet68_fpn_1x_coco.py')
    cfg.model.test_cfg.rpn.max_per_img = 10
    model = Subject(build_model(cfg), 'mmdet')
    with torch.no_grad():
        ((scores, boxes),) = model(torch.rand(1, 3, 64, 96))
    assert scores.shape == (10, 81) and boxes.shape == (10, 320)


def test_a_segmentor_of_one_channel():
    """Its labels depend on its logits: nothing of it can be left out by a compiler."""
    model = Subject(build_model(read_config('hardnet_mm::digits/mseg_hardnet_digits.py')), 'mmseg')
    images = torch.rand(1, 3, 64, 96)
    logits = model.model.encode_decode(images, [dict(img_shape=(64, 96))])
    model.model.decode_head.conv_seg.bias.data -= logits.median()
    labels = model(images)
    assert labels.shape == (1, 64, 96) and 0.3 < labels.float().mean() < 0.7
