import pytest
import torch
from helpers.parity import assert_original_outputs, load_original
from helpers.stand_in import golden_input
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from hardnet_mm import HarDNet
from hardnet_mm.seg import BootstrappedCrossEntropyLoss, FCHarDNetHead


@pytest.fixture(scope='module')
def config(root):
    init_default_scope('mmseg')
    return Config.fromfile(root / 'configs/fchardnet70_cityscapes.py')


@pytest.fixture(scope='module')
def segmentor(config, golden):
    """FC-HarDNet-70 with the stand-in weights of the golden outputs."""
    init_default_scope('mmseg')
    return load_original(MODELS.build(config.model), golden('fchardnet70'))


def test_logits_are_the_originals(segmentor, golden):
    expected = golden('fchardnet70')
    assert sum(p.numel() for p in segmentor.parameters()) == expected['parameters'] == 4_119_257
    image = golden_input(*expected['input'])
    with torch.no_grad():
        logits = segmentor.encode_decode(image, [dict(img_shape=image.shape[2:])])
    assert_original_outputs(dict(logits=logits), expected, tolerance=1e-3)


def test_work_is_the_originals(config):
    """Multiply-adds of convolutions at 1024 x 2048, counted on shapes alone."""
    init_default_scope('mmseg')
    model = MODELS.build(config.model).eval().to('meta')
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, 1024, 2048, device='meta'), mode='tensor')
    assert counter.get_total_flops() / 2 == pytest.approx(35.4e9, rel=0.01)


@pytest.mark.parametrize('size', [(64, 96), (101, 75)])
def test_predicts_at_any_size(segmentor, size):
    image = torch.randint(0, 255, (3, *size), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=size, ori_shape=size))
    with torch.no_grad():
        (result,) = segmentor.test_step(dict(inputs=[image], data_samples=[sample]))
    assert result.pred_sem_seg.data.shape == (1, *size)
    with torch.no_grad():  # the last step is the original's: corner pixels lie on corner cells
        batch = segmentor.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
        low = segmentor.decode_head(segmentor.extract_feat(batch['inputs']))
        if min(low.shape[-2:]) > 1:
            logits = result.seg_logits.data
            torch.testing.assert_close(logits[:, 0, 0], low[0, :, 0, 0])
            torch.testing.assert_close(logits[:, -1, -1], low[0, :, -1, -1])


def reference_bootstrapped(pred, target, threshold, kept, weight, ignore_index):
    """An image at a time, all its pixels sorted."""
    total = 0
    for scores, classes in zip(pred, target):
        losses = []
        for column, label in zip(scores.flatten(1).T, classes.flatten()):
            if label == ignore_index:
                losses.append(torch.zeros(()))
                continue
            log = column[label] - column.exp().sum().log()
            losses.append(-log * (1 if weight is None else weight[label]))
        losses = sorted(losses, reverse=True)
        hard = [loss for loss in losses if loss > threshold]
        chosen = hard if len(hard) > kept else losses[:kept]
        total += sum(chosen) / len(chosen)
    return total / len(pred)


@pytest.mark.parametrize('weight', [None, [0.5, 1.0, 2.0, 1.5]])
@pytest.mark.parametrize('kept', [5, 40, 1000])
@pytest.mark.parametrize('ignored', [0.0, 0.3, 1.0])
def test_loss_is_the_originals(weight, kept, ignored):
    torch.manual_seed(0)
    pred = torch.randn(3, 4, 8, 9) * torch.tensor([0.1, 1, 4])[:, None, None, None]
    pred.requires_grad_()
    target = torch.randint(0, 4, (3, 8, 9))
    target[torch.rand(3, 8, 9) < ignored] = 255
    loss = BootstrappedCrossEntropyLoss(min_kept=kept, class_weight=weight)
    got = loss(pred, target, ignore_index=255)
    wanted = reference_bootstrapped(pred, target, 0.3, min(kept, 72), weight, 255)
    torch.testing.assert_close(got, torch.as_tensor(wanted).reshape(()), rtol=1e-5, atol=1e-6)
    (gradient,) = torch.autograd.grad(got, pred, retain_graph=True)
    if ignored < 1:
        (by_the_book,) = torch.autograd.grad(wanted, pred)
        torch.testing.assert_close(gradient, by_the_book, atol=1e-6, rtol=1e-4)
    assert gradient.isfinite().all()


def test_loss_refuses():
    with pytest.raises(ValueError, match='min_kept'):
        BootstrappedCrossEntropyLoss(min_kept=0)


@pytest.mark.parametrize('arch', ['hardnet39ds', 'hardnet68', 'fchardnet70'])
@pytest.mark.parametrize('levels', [2, 3])
def test_head_takes_any_hardnet(arch, levels):
    """Fed by channels, at any number of levels; with an auxiliary head, it trains."""
    init_default_scope('mmseg')
    names = tuple(f'block{i}' for i in range(levels - 1))
    channels = HarDNet(arch, out_indices=(*names, levels - 1)).channels
    model = MODELS.build(
        dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64)),
            backbone=dict(type='HarDNet', arch=arch, out_indices=(*names, levels - 1)),
            decode_head=dict(
                type='FCHarDNetHead',
                in_channels=channels,
                growth_rates=(8,) * (levels - 1),
                num_layers=(4,) * (levels - 1),
                num_classes=3,
            ),
            auxiliary_head=dict(
                type='FCNHead',
                in_channels=channels[-1],
                channels=16,
                num_convs=1,
                num_classes=3,
                norm_cfg=dict(type='BN'),
            ),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    )
    sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 64, 64)))
    data = dict(inputs=[torch.zeros(3, 64, 64, dtype=torch.uint8)] * 2, data_samples=[sample] * 2)
    losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    assert {'decode.loss_ce', 'aux.loss_ce'} <= losses.keys()
    (losses['decode.loss_ce'] + losses['aux.loss_ce']).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_head_refuses_what_does_not_fit():
    arguments = dict(in_channels=(8, 16), growth_rates=(8,), num_layers=(4,), num_classes=3)
    head = FCHarDNetHead(**arguments)
    assert head([torch.zeros(1, 8, 8, 8), torch.zeros(1, 16, 4, 4)]).shape == (1, 3, 8, 8)
    with pytest.raises(ValueError, match=r'in_channels are \[8, 16\], but .* \[8, 8\]'):
        head([torch.zeros(1, 8, 8, 8), torch.zeros(1, 8, 4, 4)])
    with pytest.raises(ValueError, match=r'in_channels are \[8, 16\], but .* \[\]'):
        head([])
    with pytest.raises(ValueError, match='one value for each'):
        FCHarDNetHead(**{**arguments, 'growth_rates': (8, 8)})


def test_slide_mode(config, segmentor):
    init_default_scope('mmseg')
    image = torch.randint(0, 255, (3, 96, 160), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=(96, 160), ori_shape=(96, 160)))
    whole = segmentor.test_cfg
    segmentor.test_cfg = Config(dict(mode='slide', crop_size=(64, 64), stride=(48, 48)))
    with torch.no_grad():
        (result,) = segmentor.test_step(dict(inputs=[image], data_samples=[sample]))
    segmentor.test_cfg = whole
    assert result.pred_sem_seg.data.shape == (1, 96, 160)
    batch = segmentor.data_preprocessor(dict(inputs=[image], data_samples=[sample]))
    with torch.no_grad():
        low = segmentor.decode_head(segmentor.extract_feat(batch['inputs'][..., :64, :64]))
    corner = functional.interpolate(low, (64, 64), mode='bilinear', align_corners=True)
    torch.testing.assert_close(result.seg_logits.data[:, :32, :48], corner[0, :, :32, :48])


def test_recipe_is_the_originals(config):
    """PingoLH/FCHarDNet, configs/hardnet.yml."""
    assert config.optim_wrapper.optimizer == dict(
        type='SGD', lr=0.02, momentum=0.9, weight_decay=5e-4
    )
    assert config.train_dataloader.batch_size == config.auto_scale_lr.base_batch_size == 16
    assert config.train_cfg.max_iters == config.param_scheduler[0].end == 90_000
    assert config.train_cfg.val_interval == 500
    assert config.default_hooks.checkpoint.save_best == 'mIoU'
    assert config.load_from == 'hardnet://hardnet_petite_base'


def test_starts_from_xavier_as_the_original(config):
    """Every convolution, and none is initialised again by the module that it is in."""
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    model.init_weights()
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 70
    for conv in convolutions:
        fans = conv.weight[0].numel() + conv.weight[:, 0].numel()
        assert conv.weight.std().item() == pytest.approx((2 / fans) ** 0.5, rel=0.1)


def test_statistics_are_estimated_anew_on_demand(tmp_path):
    """By mmpretrain's hook, in mmseg's loop: the means over the batches, at fixed weights."""
    init_default_scope('mmseg')
    head = dict(type='FCHarDNetHead', in_channels=(48, 96), growth_rates=(8,), num_layers=(4,))

    backbone = dict(type='HarDNet', arch='hardnet39ds', out_indices=('stem1', 0))
    model = MODELS.build(
        dict(
            type='EncoderDecoder',
            data_preprocessor=dict(type='SegDataPreProcessor', size=(64, 64)),
            backbone=backbone,
            decode_head=dict(**head, num_classes=3),
            train_cfg=dict(),
            test_cfg=dict(mode='whole'),
        )
    )
    images = torch.randint(0, 255, (4, 3, 64, 64), dtype=torch.uint8)
    sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 3, (1, 64, 64)))
    items = [dict(inputs=image, data_samples=sample) for image in images]
    model.init_weights()  # as the runner would
    before = {key: value.clone() for key, value in model.state_dict().items()}
    runner = Runner(
        model,
        str(tmp_path),
        train_dataloader=dict(
            batch_size=2,
            dataset=items,
            sampler=dict(type='InfiniteSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.0)),
        custom_hooks=[dict(type='mmpretrain.PreciseBNHook', num_samples=4, interval=1)],
        default_hooks=dict(checkpoint=None),
        experiment_name=tmp_path.name,
        cfg=dict(),
    )
    runner.train()
    first = model.backbone.stem[0]
    outputs = [first.conv(images[i : i + 2].float()) for i in (0, 2)]
    mean = torch.stack([output.mean(dim=(0, 2, 3)) for output in outputs]).mean(dim=0)
    variance = torch.stack([output.var(dim=(0, 2, 3)) for output in outputs]).mean(dim=0)
    torch.testing.assert_close(first.bn.running_mean, mean, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(first.bn.running_var, variance, rtol=1e-3, atol=1e-3)
    for key, value in model.state_dict().items():
        assert 'running' in key or 'tracked' in key or torch.equal(value, before[key])
