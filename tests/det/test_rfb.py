import math

import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from hardnet_mm.det import RFB, RFBS, Bridge, RFBNeck

NORM = dict(type='BN', momentum=0.01)


def build(root, config):
    init_default_scope('mmdet')
    return MODELS.build(Config.fromfile(root / f'configs/{config}.py').model)


@pytest.fixture(scope='module')
def detector(root, golden):
    """RFBNet512-HarDNet68 with the stand-in weights of the golden outputs."""
    return load_original(build(root, 'rfb512_hardnet68_voc0712'), golden('rfb512_hardnet68_voc'))


def flatten(outputs, width):
    """(1, priors, width) of a list of (1, priors a cell * width, H, W)."""
    return torch.cat([o.permute(0, 2, 3, 1).reshape(1, -1, width) for o in outputs], dim=1)


def test_outputs_are_the_originals(detector, golden):
    expected = golden('rfb512_hardnet68_voc')
    with torch.no_grad():
        scores, boxes = detector(golden_input(*expected['input']))
    # Ours has the background last.
    got = dict(loc=flatten(boxes, 4), conf=flatten(scores, 21).roll(1, dims=2))
    assert_original_outputs(got, expected, tolerance=1e-3)
