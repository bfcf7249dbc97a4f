"""Training at several sizes a batch, by mmengine's runner."""

import copy

import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from hardnet_mm.seg import MultiSizeTrainLoop, RandomSizeTrainLoop
from hardnet_mm.seg.multi_size_loop import RandomSizeBatches
from hardnet_mm.utils.errors import InputError

SIZES = (32, (64, 96), 64)
MODEL = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[120] * 3, std=[60] * 3, size_divisor=32, seg_pad_val=0
    ),
    backbone=dict(
        type='HarDNet',
        arch=dict(
            stem_channels=(8,),
            stem_strides=(2,),
            growth_multiplier=1.7,
            growth_rates=(4, 4, 4),
            num_layers=(4, 4, 4),
            transition_channels=(16, 16, 16),
            downsample=(1, 1, 0),
        ),
        out_indices=(0, 1, 2),
    ),
    decode_head=dict(
        type='HarDNetMSEGHead',
        in_channels=(16, 16, 16),
        channels=4,
        loss_decode=dict(type='StructureLoss', loss_weight=20.0),  # many gradients are clamped
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole'),
)


@HOOKS.register_module()
class RecordIterations(Hook):
    """Sizes, positions and rates of the iterations."""

    def before_train(self, runner):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        shapes = {tuple(image.shape[1:]) for image in data_batch['inputs']}
        shapes |= {tuple(sample.gt_sem_seg.shape) for sample in data_batch['data_samples']}
        (rate,) = runner.optim_wrapper.get_lr()['lr']
        self.seen.append((batch_idx, shapes, rate))


def items():
    torch.manual_seed(0)
    for _ in range(4):
        sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64)))
        sample.gt_sem_seg = PixelData(data=torch.rand(1, 64, 64))
        image = torch.randint(0, 255, (3, 64, 64), dtype=torch.uint8)
        yield dict(inputs=image, data_samples=sample)


def make_runner(folder, model=MODEL, dataset=None, **train_cfg):
    init_default_scope('mmseg')
    return Runner(
        MODELS.build(model),
        str(folder),
        train_dataloader=dict(
            batch_size=2,
            dataset=dataset or list(items()),
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='pseudo_collate'),
        ),
        train_cfg={
            **dict(type=MultiSizeTrainLoop, max_epochs=2),
            **({} if 'side' in train_cfg else dict(sizes=SIZES)),
            **train_cfg,
        },
        optim_wrapper=dict(
            optimizer=dict(type='SGD', lr=1e-2), clip_grad=dict(type='value', clip_value=0.5)
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.5, begin=0, end=2, convert_to_iter_based=True)
        ],
        custom_hooks=[dict(type='RecordIterations'), dict(type='LabelCheckHook')],
        default_hooks=dict(checkpoint=None),
        experiment_name=folder.name,
        cfg=dict(),
    )


def by_the_book(model, rates):
    """The original's: batches normalised, resized, a step each, gradients clamped."""
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
    rates = iter(rates)
    data = list(items())
    for _ in range(2):
        for pair in (data[:2], data[2:]):
            images = torch.stack([(item['inputs'].float() - 120) / 60 for item in pair])
            masks = torch.stack([item['data_samples'].gt_sem_seg.data for item in pair])
            for size in SIZES:
                optimizer.param_groups[0]['lr'] = next(rates)
                resized = [
                    functional.interpolate(x, size, mode='bilinear', align_corners=True)
                    for x in (images, masks)
                ]
                logits = model(resized[0], mode='tensor')
                logits = functional.interpolate(logits, resized[0].shape[2:], mode='bilinear')
                optimizer.zero_grad()
                model.decode_head.loss_decode(logits, resized[1][:, 0]).backward()
                gradients = [parameter.grad for parameter in model.parameters()]
                assert max(gradient.abs().max() for gradient in gradients) > 1
                for gradient in gradients:
                    gradient.clamp_(-0.5, 0.5)
                optimizer.step()
    return model


def test_trains_as_the_original_does(tmp_path):
    """Each batch at each size, a step each; hooks and schedules count steps."""
    runner = make_runner(tmp_path)
    runner.model.init_weights()
    reference = copy.deepcopy(runner.model)
    runner.train()
    (record,) = (hook for hook in runner.hooks if isinstance(hook, RecordIterations))
    sizes = [{(32, 32)}, {(64, 96)}, {(64, 64)}]
    assert [shapes for _, shapes, _ in record.seen] == 4 * sizes
    assert [index for index, _, _ in record.seen] == 2 * list(range(6))
    assert runner.iter == runner.max_iters == 12 and len(runner.train_dataloader) == 6
    rates = [rate for *_, rate in record.seen]
    assert rates == pytest.approx([1e-2 * (0.5 + 0.5 * i / 11) for i in range(12)])
    reference = by_the_book(reference, rates)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(runner.model.state_dict()[name], value, rtol=1e-3, atol=1e-4)


def test_the_batch_itself_stays(tmp_path):
    dataset = list(items())
    make_runner(tmp_path, dataset=dataset, max_epochs=1).train()
    for item, wanted in zip(dataset, items()):
        assert torch.equal(item['inputs'], wanted['inputs'])
        mask = item['data_samples'].gt_sem_seg.data
        assert torch.equal(mask, wanted['data_samples'].gt_sem_seg.data)


def test_what_it_cannot_train_on_is_refused(tmp_path):
    hard = list(items())
    for item in hard:
        item['data_samples'].gt_sem_seg.data = item['data_samples'].gt_sem_seg.data.round().long()
    with pytest.raises(InputError, match='soft masks.*numbers of classes.*PackSoftMask'):
        make_runner(tmp_path, dataset=hard).train()
    with pytest.raises(InputError, match='at least one size'):
        make_runner(tmp_path, sizes=()).train()
    with pytest.raises(InputError, match=r'size_divisor=32.*\(48, 48\)'):
        make_runner(tmp_path, sizes=(32, 48)).train()
    padding = copy.deepcopy(MODEL)
    padding['data_preprocessor'].update(size=(64, 64), size_divisor=None)
    with pytest.raises(InputError, match=r'size=\(64, 64\).*needs size=None'):
        make_runner(tmp_path, padding).train()


def test_labels_are_still_checked(tmp_path):
    wrong = list(items())
    wrong[0]['data_samples'].gt_sem_seg.data[0, 0, 0] = 255
    with pytest.raises(InputError, match='2 classes'):
        make_runner(tmp_path, dataset=wrong).train()


def test_a_random_size_for_each_batch(tmp_path):
    """A step each, at multiples of 32 here; an epoch has as many as there are batches."""
    runner = make_runner(tmp_path, type=RandomSizeTrainLoop, side=64, divisor=32, max_epochs=6)
    np.random.seed(0)
    runner.train()
    (record,) = (hook for hook in runner.hooks if isinstance(hook, RecordIterations))
    assert runner.iter == runner.max_iters == 12 and len(runner.train_dataloader) == 2
    assert all(len(shapes) == 1 for _, shapes, _ in record.seen)
    assert {shape for _, shapes, _ in record.seen for shape in shapes} == {(32, 32), (64, 64)}


def test_sizes_are_as_likely_as_the_originals():
    """Of 384 pixels 288 to 479, rounded down: the least and the greatest half as often."""
    batches = RandomSizeBatches([dict(inputs=[], data_samples=[])], 288, 480, 64)
    assert batches.sizes == [(side, side) for side in (256, 320, 384, 448)] and len(batches) == 1
    image, sample = torch.rand(3, 8, 8), SegDataSample()
    sample.gt_sem_seg = PixelData(data=torch.rand(1, 8, 8))
    few = RandomSizeBatches([dict(inputs=[image], data_samples=[sample])] * 900, 9, 15, 2)
    np.random.seed(0)
    sides = [batch['inputs'][0].shape[1] for batch in few]
    counts = np.bincount(sides, minlength=15)[[8, 10, 12, 14]]
    assert counts == pytest.approx([150, 300, 300, 150], abs=60) and counts.sum() == 900
    (batch,) = RandomSizeBatches([dict(inputs=[image], data_samples=[sample])], 12, 13, 4)
    mask = batch['data_samples'][0].gt_sem_seg.data
    for x, found in ((image, batch['inputs'][0]), (sample.gt_sem_seg.data, mask)):
        wanted = functional.interpolate(x[None], (12, 12), mode='bilinear')[0]
        torch.testing.assert_close(found, wanted)


def test_random_sizes_that_cannot_be_are_refused(tmp_path):
    def refused(message, **settings):
        with pytest.raises(InputError, match=message):
            defaults = dict(type=RandomSizeTrainLoop, side=64, divisor=32)
            make_runner(tmp_path, **{**defaults, **settings}).train()

    refused('sides of 30 to below 50 pixels.*divisor=32', side=40)
    refused('there must be some', ratio_range=(1.0, 1.0))
    refused(r'size_divisor=32.*\(48, 48\)', divisor=16)
