"""Segmentors of folds: the mean of what they say, wherever one of them would do."""

import copy

import pytest
import torch
from helpers.exported import filled, item, random_images
from helpers.small_dfus import SMALL_DFUS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from hardnet_mm.deploy import to_deploy
from hardnet_mm.seg.ensemble import ensemble_config, load_segmentors, mean_logits
from hardnet_mm.utils.configs import build_model
from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def folds(tmp_path_factory):
    """Three checkpoints of small models, each of other weights."""
    folder, cfg, paths = tmp_path_factory.mktemp('folds'), Config(SMALL_DFUS), []
    model = filled(build_model(cfg))
    for fold in range(3):
        model.decode_head.conv_seg.bias.data.fill_(fold - 1.0)
        paths.append(str(folder / f'{fold}.pth'))
        torch.save(
            dict(state_dict=copy.deepcopy(model.state_dict()), meta=dict(fold=fold)), paths[-1]
        )
    return paths


@pytest.fixture(scope='module')
def ensemble(folds):
    init_default_scope('mmseg')
    cfg = Config(SMALL_DFUS)
    cfg.model = ConfigDict(ensemble_config(cfg.model, 3))
    model = build_model(cfg)
    assert load_segmentors(model, folds) == dict(fold=0)
    return model


def predicted(model, batch):
    with torch.no_grad():
        return model.test_step(copy.deepcopy(batch))


def test_probabilities_are_averaged(ensemble, folds):
    """Of each pixel, and of images whose sides are padded."""
    image = item(Config(SMALL_DFUS), random_images(1, (100, 70))[0])
    batch = {key: [value] for key, value in image.items()}
    (found,) = predicted(ensemble, batch)
    single = filled(build_model(Config(SMALL_DFUS)))
    each = []
    for path in folds:
        single.load_state_dict(torch.load(path, weights_only=True)['state_dict'])
        each.append(predicted(single, batch)[0].seg_logits.data)
    assert (each[0] != each[2]).any()
    wanted = torch.stack(each).mean(dim=0)
    torch.testing.assert_close(found.seg_logits.data, wanted, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.pred_sem_seg.data, (wanted > 0.5).float())
    assert found.seg_logits.data.shape == (1, 100, 70)


def test_flips_of_an_ensemble_are_averaged(ensemble):
    augmented = MODELS.build(dict(type='LogitSegTTAModel', module=ensemble))
    image = item(Config(SMALL_DFUS), random_images(1, (64, 64))[0])
    image['data_samples'].set_metainfo(dict(flip=False, flip_direction=None))
    views = {key: [[value], [value]] for key, value in image.items()}
    (found,) = predicted(augmented, views)
    (alone,) = predicted(ensemble, {key: [value] for key, value in image.items()})
    torch.testing.assert_close(found.seg_logits.data, alone.seg_logits.data)


def test_the_inference_form_of_an_ensemble(ensemble):
    images = (random_images(1, (64, 64)) - 120) / 60
    meta = [dict(img_shape=(64, 64), ori_shape=(64, 64))]
    with torch.no_grad():
        found, wanted = (m.inference(images, meta) for m in (to_deploy(ensemble), ensemble))
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()


@pytest.mark.parametrize('channels', [1, 4])
def test_logits_are_of_the_mean(channels):
    """Also where a probability rounds to 0 or 1."""
    torch.manual_seed(0)
    logits = [20 * torch.randn(2, channels, 3, 5, dtype=torch.double) for _ in range(3)]
    likelihood = torch.sigmoid if channels == 1 else nn.Softmax(dim=1)
    wanted = torch.stack([likelihood(each) for each in logits]).mean(dim=0)
    torch.testing.assert_close(likelihood(mean_logits(logits)), wanted)
    far = mean_logits([torch.full((1, 1, 1, 1), value) for value in (90.0, -90.0)])
    torch.testing.assert_close(far, torch.zeros(1, 1, 1, 1))


def test_what_does_not_fit_is_told(ensemble, folds, tmp_path):
    torch.save(dict(state_dict=dict(weight=torch.zeros(1)), meta={}), tmp_path / 'other.pth')
    with pytest.raises(InputError, match='other.pth is not one of this config'):
        load_segmentors(ensemble, [*folds[:2], str(tmp_path / 'other.pth')])
    with pytest.raises(InputError, match='train its segmentors one by one'):
        ensemble(torch.zeros(1, 3, 64, 64), [], mode='loss')
    with pytest.raises(InputError, match='same outputs, got 0 of them'):
        MODELS.build(dict(type='SegmentorEnsemble', segmentors=[]))
