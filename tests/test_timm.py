"""timm's interface to HarDNet."""

import pytest
import torch
from helpers.documents import ROOT, blocks

from hardnet_mm import create_model
from hardnet_mm.backbones.architectures import HEAD_DROPOUT
from hardnet_mm.checkpoints import convert_official

pytestmark = pytest.mark.slow  # make test-slow installs it

timm = pytest.importorskip('timm')
import hardnet_mm.timm  # noqa: E402, F401, it registers
from hardnet_mm.timm import adapt_keys  # noqa: E402

IMAGE = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope='module')
def ours():
    return create_model('hardnet39ds', num_classes=7).eval()


@pytest.fixture(scope='module')
def theirs(ours):
    """timm's model with the same weights."""
    model = timm.create_model('hardnet39ds', num_classes=7).eval()
    model.load_state_dict(adapt_keys(ours.state_dict(), model))  # strict
    return model


PAGE = ROOT / 'docs/outside_mm.md'
NEEDS = [block for block in blocks(PAGE, 'python') if (block.reason or '').startswith('needs timm')]


@pytest.mark.slow
@pytest.mark.parametrize('block', NEEDS, ids=lambda block: block.reason)
def test_what_the_page_shows(block):
    for package in block.reason.removeprefix('needs ').split(', '):
        pytest.importorskip(package)
    exec(block.code, {})


def test_every_variant_is_there():
    assert set(timm.list_models(module='timm')) == set(HEAD_DROPOUT)
    for arch, dropout in HEAD_DROPOUT.items():
        with torch.device('meta'):
            model = timm.create_model(arch)
            ours = create_model(arch)
        wanted = {key.removeprefix('backbone.') for key in ours.state_dict()}
        assert set(model.state_dict()) == wanted and model.head.drop.p == dropout
        assert model.pretrained_cfg['url'].endswith('.pth')
        assert model.pretrained_cfg['license'] == 'mit'


@torch.no_grad()
def test_same_outputs(ours, theirs):
    torch.testing.assert_close(theirs(IMAGE), ours(IMAGE))
    features = theirs.forward_features(IMAGE)
    torch.testing.assert_close(features, ours.backbone(IMAGE)[0])
    pooled = theirs.forward_head(features, pre_logits=True)
    torch.testing.assert_close(theirs.get_classifier()(pooled), theirs(IMAGE))


@torch.no_grad()
def test_pretrained(publish, original, cache):
    """By this plugin's loader: the server stands for the authors' host."""
    publish(original)
    model = timm.create_model('hardnet39ds', pretrained=True).eval()
    wanted = convert_official(original)
    assert model.state_dict().keys() == {key.removeprefix('backbone.') for key in wanted}
    assert torch.equal(model.head.fc.weight, wanted['head.fc.weight'])
    assert torch.equal(model.stem[0].conv.weight, wanted['backbone.stem.0.conv.weight'])
    other = timm.create_model('hardnet39ds', pretrained=True, num_classes=3, in_chans=1)
    assert other.head.fc.weight.shape == (3, 1024) and other.stem[0].conv.weight.shape[1] == 1
    gray = wanted['backbone.stem.0.conv.weight'].sum(1, keepdim=True)
    torch.testing.assert_close(other.stem[0].conv.weight.data, gray)
    assert torch.equal(other.stem[1].conv.weight, wanted['backbone.stem.1.conv.weight'])


@torch.no_grad()
@pytest.mark.parametrize('output_stride', [8, 16, 32])
def test_features(ours, output_stride):
    indices = (0, 1, 4)
    model = timm.create_model(
        'hardnet39ds', features_only=True, out_indices=indices, output_stride=output_stride
    ).eval()
    assert model.feature_info.reduction() == [2, 4, output_stride]
    state = adapt_keys(ours.state_dict(), model)
    model.load_state_dict(
        {
            key.replace('stages.', 'stages_').replace('stem.', 'stem_'): v
            for key, v in state.items()
            if not key.startswith('head')
        }
    )
    out_indices = ('stem1', 0, 3)
    options = {
        16: dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2)),
        8: dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    }.get(output_stride, {})
    backbone = create_model('hardnet39ds', features_only=True, out_indices=out_indices, **options)
    backbone.load_state_dict(ours.backbone.state_dict())
    for ours_, theirs_, channels in zip(
        backbone.eval()(IMAGE), model(IMAGE), model.feature_info.channels()
    ):
        torch.testing.assert_close(theirs_, ours_)
        assert theirs_.shape[1] == channels
    with pytest.raises(ValueError, match=r'\[32, 16, 8\], got 4'):
        timm.create_model('hardnet39ds', output_stride=4)


def test_classifier_and_recomputation(ours):
    model = timm.create_model('hardnet39ds', num_classes=7)
    stored, recomputed = [], []
    for gradients, enable in ((stored, False), (recomputed, True)):
        model.load_state_dict(adapt_keys(ours.state_dict(), model))
        model.set_grad_checkpointing(enable)
        model.zero_grad()
        torch.manual_seed(0)
        model(IMAGE).sum().backward()
        gradients += [parameter.grad.clone() for parameter in model.parameters()]
    torch.testing.assert_close(recomputed, stored)
    model.reset_classifier(3)
    assert model(IMAGE).shape == (2, 3) and model.num_classes == 3
    model.reset_classifier(0)
    assert model(IMAGE).shape == (2, model.num_features)
    groups = timm.models.group_parameters(model, model.group_matcher())
    assert len(groups) == 5  # stem and stages
