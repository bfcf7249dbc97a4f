import pytest
import torch

from hardnet_mm import create_model
from hardnet_mm.backbones.architectures import ARCHITECTURES


def test_create_model(publish, original, cache):
    publish(original)
    model = create_model('hardnet39ds', num_classes=7, pretrained=True)
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert torch.equal(model.backbone.stem[0].conv.weight, original['base.0.conv.weight'])
    backbone = create_model(
        'hardnet39ds', features_only=True, out_indices=(1, 2), pretrained=True
    ).eval()
    shapes = [feature.shape[1:] for feature in backbone(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(320, 8, 8), (640, 4, 4)]
    assert torch.equal(backbone.stem[0].conv.weight, original['base.0.conv.weight'])
    with pytest.raises(ValueError, match='no published weights'):
        create_model('fchardnet70', pretrained=True)
    with pytest.raises(ValueError, match='name a checkpoint'):
        create_model(ARCHITECTURES['hardnet39ds'], pretrained=True)
    with pytest.raises(ValueError, match='not of this model'):
        create_model('hardnet68ds', pretrained='hardnet://hardnet39ds')
