import argparse

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData

from hardnet_mm import HarDNet
from hardnet_mm.training import ChannelsLastHook, FiniteLossHook, LabelCheckHook
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.errors import InputError


def test_channels_last():
    model = HarDNet('hardnet39ds', out_indices=(1,)).eval()
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model(image)[0]
        ChannelsLastHook().before_run(argparse.Namespace(model=model))
        got = model(image)[0]
    assert got.is_contiguous(memory_format=torch.channels_last)
    assert not got.is_contiguous()
    torch.testing.assert_close(got, wanted)


@pytest.fixture(scope='module')
def segmentation(root, digits):
    """The model of the digits' masks, whose labels are 0 to 10, and a batch of them."""
    cfg = read_config(str(root / 'configs/digits/fchardnet70_digits.py'))
    settings = dict(cfg.train_dataloader.dataset, data_root=str(digits))
    model = build_model(cfg)
    init_default_scope('mmseg')
    from mmseg.registry import DATASETS

    dataset = DATASETS.build(settings)
    return argparse.Namespace(model=model), pseudo_collate([dataset[i] for i in range(4)])


def test_labels_beyond_the_classes_of_a_segmentor(segmentation):
    runner, batch = segmentation
    hook, head, sample = LabelCheckHook(), runner.model.decode_head, batch['data_samples'][2]
    hook.before_train_iter(runner, 0, batch)
    truth = sample.gt_sem_seg.data
    for value, words in ((11, '11'), (254, '254'), (-1, '-1'), (255, None), (10, None)):
        before = truth[0, 5, 7].item()
        truth[0, 5, 7] = value
        if words is None:
            hook.before_train_iter(runner, 0, batch)
        else:
            found = (
                f'{sample.seg_map_path} has the label {words}, and the model 11 classes.* or set '
                'model.decode_head.num_classes$'
            )
            with pytest.raises(InputError, match=found):
                hook.before_train_iter(runner, 0, batch)
        truth[0, 5, 7] = before
    head.ignore_index = -1
    truth[0, 5, 7] = -1
    hook.before_train_iter(runner, 0, batch)
    truth[0, 5, 7], head.ignore_index = 0, 255


def test_labels_beyond_the_classes_of_a_classifier(root, tmp_path):
    import cv2

    cfg = read_config(str(root / 'configs/digits/hardnet39ds_digits.py'))
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / 'labels.txt').write_text('a.png 9\na.png 10\n')
    settings = dict(cfg.train_dataloader.dataset, data_root=str(tmp_path), data_prefix='')
    init_default_scope('mmpretrain')
    from mmpretrain.registry import DATASETS

    dataset = DATASETS.build(dict(settings, ann_file='labels.txt'))
    runner = argparse.Namespace(model=build_model(cfg))
    hook = LabelCheckHook()
    hook.before_train_iter(runner, 0, pseudo_collate([dataset[0]]))
    with pytest.raises(InputError, match='a.png has the label 10, and the model 10 classes'):
        hook.before_train_iter(runner, 0, pseudo_collate([dataset[0], dataset[1]]))


@pytest.mark.parametrize('when', ['train', 'val', 'test'])
@pytest.mark.parametrize(
    'shape, words',
    [
        ((1, 40, 48), r'the mask .*\.png has 40 x 48 pixels, and its image .*\.jpg 128 x 128'),
        ((128, 128, 3), r'the mask .*\.png has 3 channels'),
    ],
)
def test_a_mask_that_is_not_of_its_image(segmentation, when, shape, words):
    """mmseg's metric would fail without a name, or a random crop give a batch of two sizes."""
    runner, batch = segmentation
    check = getattr(LabelCheckHook(), f'before_{when}_iter')
    for sample in batch['data_samples']:  # in evaluation, masks have the size of the file
        sample.set_metainfo(dict(ori_shape=(128, 128)))
    check(runner, 0, batch)
    sample = batch['data_samples'][1]
    before = sample.gt_sem_seg
    sample.gt_sem_seg = PixelData(data=torch.zeros(shape, dtype=torch.int64))
    with pytest.raises(InputError, match=words):
        check(runner, 0, batch)
    sample.gt_sem_seg = before
    before.data[0, 3, 4] = 11
    with pytest.raises(InputError, match='has the label 11, and the model 11 classes'):
        check(runner, 0, batch)
    before.data[0, 3, 4] = 0


@pytest.mark.parametrize(
    'name',
    ['fchardnet70_cityscapes', 'toolbox_models/fcn_hardnet68-d8_4xb4-80k_ade20k-512x512'],
)
def test_configs_of_segmentors_check_labels(name):
    assert read_config(f'hardnet_mm::{name}').default_hooks.labels.type == 'LabelCheckHook'


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_a_loss_that_is_no_number_names_the_images(segmentation, value):
    runner, batch = argparse.Namespace(iter=6), segmentation[1]
    losses = dict(loss=torch.tensor(0.5), loss_ce=torch.tensor(0.5))
    FiniteLossHook().after_train_iter(runner, 6, batch, losses)
    losses.update(loss=torch.tensor(value), loss_ce=torch.tensor(value))
    with pytest.raises(
        InputError, match=rf'the loss is {value} at iteration 7 \(loss_ce '
    ) as error:
        FiniteLossHook().after_train_iter(runner, 6, batch, losses)
    assert all(sample.img_path in str(error.value) for sample in batch['data_samples'])
