import copy
import functools
import math

import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from torch import nn

from hardnet_mm.det import RFB, RFBS, Bridge, ReceptiveFieldBlock, RFBNeck

COCO = ('rfb512_hardnet68_coco', 'rfb512_hardnet85_coco')
VOC = 'rfb512_hardnet68_voc0712'
DIGITS = 'digits/rfb_hardnet_digits'


@pytest.fixture(scope='module')
def read(root):
    """Return a function that reads a config by its name, a new copy each time."""
    init_default_scope('mmdet')
    cached = functools.cache(lambda name: Config.fromfile(root / f'configs/{name}.py'))
    return lambda name: copy.deepcopy(cached(name))


@pytest.fixture(scope='module')
def detector(read, golden):
    """RFBNet512-HarDNet68 of Pascal VOC's classes with the golden outputs' stand-in weights."""
    return load_original(MODELS.build(read(VOC).model), golden('rfb512_hardnet68_voc'))


def flatten(outputs, width):
    """(1, priors, width) of a list of (1, priors a cell * width, H, W)."""
    return torch.cat([o.permute(0, 2, 3, 1).reshape(1, -1, width) for o in outputs], dim=1)


def test_outputs_are_the_originals(detector, golden):
    expected = golden('rfb512_hardnet68_voc')
    with torch.no_grad():
        scores, boxes = detector(golden_input(*expected['input']))
    # Ours has the background last.
    got = dict(loc=flatten(boxes, 4), conf=flatten(scores, 21).roll(1, dims=2))
    assert_original_outputs(got, expected, tolerance=1e-4)


@pytest.mark.parametrize(
    'name, wanted', [(COCO[0], 33_112_214), (COCO[1], 39_262_994), (VOC, 23_709_614)]
)
def test_parameters(read, name, wanted):
    with torch.device('meta'):
        model = MODELS.build(read(name).model)
    assert sum(parameter.numel() for parameter in model.parameters()) == wanted


def test_levels(detector):
    sides = [(320, 64), (640, 32)]
    with torch.no_grad():
        levels = detector.neck([torch.rand(1, channels, s, s) for channels, s in sides])
    assert [tuple(level.shape[1:]) for level in levels] == [
        (512, 64, 64),
        (1024, 32, 32),
        (512, 16, 16),
        (256, 8, 8),
        (256, 4, 4),
        (256, 2, 2),
        (256, 1, 1),
    ]


@pytest.mark.parametrize('name', [*COCO, VOC])
def test_the_rest_is_ssds(read, name):
    """Priors, head, boxes, augmentation, data, schedule: all but the neck and its channels."""
    ours, ssd = (read(n).to_dict() for n in (name, name.replace('rfb', 'ssd')))
    necks = [cfg['model'].pop('neck')['type'] for cfg in (ours, ssd)]
    assert necks == ['RFBNeck', 'HarDNetSSDNeck']
    for cfg in (ours, ssd):
        del cfg['model']['bbox_head']['in_channels']
        for key in [key for key in cfg if key.startswith(('rfb512_', 'ssd512_'))]:
            del cfg[key]
    assert ours == ssd


def cells_seen(block, side=41):
    """The rows and columns that the middle output of each branch depends on, from the middle."""
    seen = []
    for branch in block.branches:
        image = torch.zeros(1, 64, side, side, requires_grad=True)
        for conv in branch.modules():
            if isinstance(conv, nn.Conv2d):
                nn.init.constant_(conv.weight, 1)
        branch.eval()(image + 1)[..., side // 2, side // 2].sum().backward()
        rows, columns = (image.grad.abs().sum(dim=(0, 1)) > 0).nonzero().unbind(1)
        seen.append(((rows - side // 2).unique().tolist(), (columns - side // 2).unique().tolist()))
    return seen


def around(radius, step=1):
    return list(range(-radius, radius + 1, step))


def test_fields_of_the_branches():
    """Kernels of 3x3 and 5x5, then dilation; of RFB-s, 3x3 and the strokes 3x1 and 1x3."""
    assert cells_seen(RFB(64, 32)) == [(around(4),) * 2, (around(7),) * 2]
    assert cells_seen(RFB(64, 32, dilations=(2, 3))) == [(around(3),) * 2, (around(5),) * 2]
    spread = around(3, 3)
    assert cells_seen(RFBS(64, 32)) == [
        (around(1), around(1)),
        (around(4), spread),
        (spread, around(4)),
        (
            [-6, -5, -4, -1, 0, 1, 4, 5, 6],
            [-6, -5, -4, -1, 0, 1, 4, 5, 6],
        ),
    ]


@pytest.mark.parametrize('side', [1, 5, 8])
def test_strides_on_any_side(side):
    """The branches and the shortcut round alike."""
    x = torch.rand(2, 64, side, side + 2)
    for stride in (1, 2):
        found = RFB(64, 32, stride)(x)
        assert found.shape == (2, 32, -(-side // stride), -(-(side + 2) // stride))
        assert (found >= 0).all() and (found == 0).any() and (found > 0).any()


def test_a_block_adds_its_branches_to_the_shortcut():
    """And only then cuts off what is negative; a branch's last layer keeps it."""
    torch.manual_seed(0)
    block = RFBS(32, 16).eval()
    x = torch.randn(1, 32, 6, 6)
    with torch.no_grad():
        branches = [branch(x) for branch in block.branches]
        assert all((branch < 0).any() for branch in branches)
        inner = [conv for branch in block.branches for conv in branch[:-1]]
        assert all((conv(torch.randn(1, conv.in_channels, 6, 6)) >= 0).all() for conv in inner)
        mixed = torch.conv2d(torch.cat(branches, 1), block.linear.conv.weight)
        direct = torch.conv2d(x, block.shortcut.conv.weight)
        scale = 1 / math.sqrt(1 + 1e-5)  # of a new norm
        torch.testing.assert_close(block(x), ((mixed + direct) * scale).relu())


def test_momentum_of_the_norms(detector):
    """PyTorch's default in the backbone and in the bridge."""
    for name, norm in detector.named_modules():
        if isinstance(norm, nn.BatchNorm2d):
            own = name.startswith('neck.') and not name.startswith('neck.bridge.')
            assert norm.momentum == (0.01 if own else 0.1), name
            assert norm.eps == 1e-5


def test_initial_weights_are_the_originals(read):
    """He-normal by outputs; in the head PyTorch's own, uniform to 1 / sqrt(inputs), and no bias."""
    cfg = read(DIGITS)
    cfg.model.neck.bridge = dict(mid_channels=64)
    model = MODELS.build(cfg.model)
    parts = dict(neck=model.neck, head=model.bbox_head)
    for part in parts.values():
        for parameter in part.parameters():
            parameter.data.fill_(7)
    torch.manual_seed(0)
    for part in parts.values():
        part.init_weights()
    seen = dict(neck=0, bridge=0, head=0)
    for part, modules in parts.items():
        for name, layer in modules.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert (layer.weight == 1).all() and (layer.bias == 0).all(), name
            if not isinstance(layer, nn.Conv2d):
                continue
            assert layer.bias is None or not layer.bias.any(), name
            assert (layer.weight != 7).all(), name
            if layer.weight.numel() < 2000:
                continue
            outputs, inputs, height, width = layer.weight.shape
            std, largest = layer.weight.std().item(), layer.weight.abs().max().item()
            if part == 'neck':
                wanted = math.sqrt(2 / (outputs * height * width))
                assert std == pytest.approx(wanted, rel=0.07), name
                assert largest > 2.5 * std, name  # of a normal distribution, not of a uniform one
            else:
                limit = 1 / math.sqrt(inputs * height * width)
                assert std == pytest.approx(limit / math.sqrt(3), rel=0.05), name
                assert largest <= limit, name
            seen['bridge' if 'bridge' in name else part] += 1
    assert seen['neck'] > 10 and seen['bridge'] == 2 and seen['head'] == 6, seen


def sample(size):
    boxes, labels = torch.tensor([[20.0, 20, 60, 60]]), torch.tensor([3])
    shape = (size, size)
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, scale_factor=(1, 1), img_id=0)
    return DetDataSample(gt_instances=InstanceData(bboxes=boxes, labels=labels), metainfo=meta)


RESNET = dict(
    type='ResNet',
    depth=18,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(1, 2),
)


@pytest.mark.parametrize('backbone', [None, RESNET], ids=['HarDNet', 'ResNet'])
def test_it_trains_and_predicts_behind_any_backbone(read, backbone):
    cfg = read(DIGITS)
    if backbone is not None:
        cfg.model.backbone = backbone
        cfg.model.neck.in_channels = (128, 256)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).train()
    image = torch.randn(2, 3, 128, 128)
    loss, _ = model.parse_losses(model.loss(image, [sample(128), sample(128)]))
    loss.backward()
    assert loss.isfinite() and loss > 0
    assert all(parameter.grad.any() for parameter in model.neck.parameters())
    with torch.no_grad():
        (found,) = model.eval().predict(image[:1], [sample(128)])
    assert 0 < len(found.pred_instances) <= 200


NECK = dict(
    in_channels=(32, 64),
    out_channels=(32, 64, 32),
    block_strides=(1,),
    block_dilations=((3, 5),),
    level_strides=(1,),
    level_paddings=(1,),
)


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(in_channels=(32, 64, 64)), ['two inputs', r'(32, 64, 64)']),
        (dict(block_strides=(1, 2)), ['block_strides', '2, 1 and 3']),
        (dict(block_strides=(), block_dilations=()), ['at least one', '0, 0 and 3']),
        (dict(out_channels=(32, 64)), ['two fewer than out_channels', '1, 1 and 2']),
        (dict(block_dilations=((1, 3, 5),)), ['block_dilations', 'pairs', '(1, 3, 5)']),
        (dict(in_channels=(32, 8)), ['in_channels must be 16 or more, got 8']),
        (dict(in_channels=(8, 64)), ['in_channels must be 16 or more, got 8']),
    ],
)
def test_bad_input(change, words):
    with pytest.raises(ValueError) as raised:
        RFBNeck(**{**NECK, **change})
    for word in words:
        assert word in str(raised.value)


ONES = dict(type='Constant', layer='Conv2d', val=1)


@pytest.mark.parametrize('init_cfg', [None, ONES, [ONES]], ids=['none', 'dict', 'list'])
@pytest.mark.parametrize(
    'name, part', [('rfb', 'neck'), ('rfb', 'bbox_head'), ('centernet', 'neck')]
)
def test_any_initialization_of_mmengine_is_taken(read, name, part, init_cfg):
    settings = read(f'digits/{name}_hardnet_digits').model[part]
    built = MODELS.build(dict(settings, init_cfg=init_cfg))
    assert built.init_cfg == init_cfg
    built.init_weights()


def test_a_bridge_is_an_option():
    assert not isinstance(RFBNeck(**NECK).bridge, Bridge)
    neck = RFBNeck(**NECK, bridge=dict(mid_channels=48, dilation=4))
    assert isinstance(neck.bridge, Bridge) and neck.bridge[1].conv.dilation == (4, 4)
    blocks = [module for module in neck.modules() if isinstance(module, ReceptiveFieldBlock)]
    assert [type(block) for block in blocks] == [RFBS, RFB]
