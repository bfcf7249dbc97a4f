import numpy as np
import pytest
import torch
from helpers.stand_in import fill_state_dict
from mmengine.registry import init_default_scope
from mmpretrain import ImageClassificationInferencer, get_model, list_models

import hardnet_mm  # noqa: F401, makes the models known


@pytest.fixture(scope='module')
def weights(golden, tmp_path_factory):
    path = tmp_path_factory.mktemp('weights') / 'original.pth'
    torch.save(fill_state_dict(golden('hardnet39ds_cls')['state_dict']), path)
    return str(path)


def test_models_are_listed():
    names = ['hardnet39ds', 'hardnet68', 'hardnet68ds', 'hardnet85']
    assert list_models('*hardnet*') == [f'{name}_imagenet' for name in names]
    assert 'resnet50_8xb32_in1k' in list_models()


def test_features(weights):
    model = get_model('hardnet39ds_imagenet', weights, backbone=dict(out_indices=(0, 1, 2, 3)))
    features = model.extract_feat(torch.zeros(1, 3, 64, 64), stage='backbone')
    assert [f.shape[1] for f in features] == [96, 320, 640, 1024]
    stem = torch.load(weights, weights_only=True)['base.0.conv.weight']
    assert torch.equal(model.backbone.stem[0].conv.weight, stem)


def test_inferencer_classifies(weights):
    init_default_scope('mmpretrain')
    image = np.random.default_rng(0).integers(0, 255, (80, 100, 3), dtype=np.uint8)
    inferencer = ImageClassificationInferencer('hardnet39ds_imagenet', pretrained=weights)
    (result,) = inferencer(image)
    with torch.no_grad():
        inputs = inferencer.pipeline(dict(img=image))['inputs']
        data = inferencer.model.data_preprocessor(dict(inputs=[inputs]))
        model = get_model('hardnet39ds_imagenet', weights)
        wanted = model(data['inputs'], mode='tensor').softmax(1)[0]
    np.testing.assert_allclose(result['pred_scores'], wanted, rtol=1e-4)
    assert result['pred_class'] == inferencer.classes[wanted.argmax()]
