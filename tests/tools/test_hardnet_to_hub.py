"""Weights as safetensors, with a card."""

import functools
import json

import pytest
import torch
import yaml
from helpers.stand_in import fill_state_dict
from mmengine.runner import CheckpointLoader

from hardnet_mm import HarDNet, create_model
from hardnet_mm.backbones import HarDNetV2
from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.card import DATASETS, METRIC_TYPES, PIPELINES, Card
from hardnet_mm.checkpoints.files import check_checkpoint
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.checkpoints.reading import read_checkpoint

pytestmark = pytest.mark.slow  # make test-slow installs it

pytest.importorskip('safetensors')
FILES = ['README.md', 'config.json', 'model.safetensors']


@pytest.fixture
def convert(run_tool):
    return functools.partial(run_tool, 'model_converters/hardnet_to_hub.py')


def front_matter(folder):
    start, fields, text = (folder / 'README.md').read_text().split('---\n', 2)
    assert start == ''
    return yaml.safe_load(fields), text


def test_a_published_name(convert, golden, tmp_path, monkeypatch):
    state = fill_state_dict(golden('fchardnet70')['state_dict'])
    torch.save(state, tmp_path / 'hardnet70_cityscapes_model.pkl')
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path))
    out = tmp_path / 'out'
    convert('fchardnet70_cityscapes', '--out-dir', out)
    assert sorted(path.name for path in out.iterdir()) == FILES
    fields, text = front_matter(out)
    assert fields['license'] == 'mit' and fields['pipeline_tag'] == 'image-segmentation'
    (result,) = fields['model-index'][0]['results']
    assert result['dataset'] == dict(name='Cityscapes', type='cityscapes', split='val')
    assert result['metrics'] == [dict(type='mean_iou', name='mIoU', value=77.7)]
    assert WEIGHTS['fchardnet70_cityscapes'].address in text and '@inproceedings' in text
    assert json.loads((out / 'config.json').read_text()) == dict(
        architecture='fchardnet70',
        task='Semantic Segmentation',
        config='hardnet_mm::fchardnet70_cityscapes.py',
    )
    wanted = convert_official(state)
    for load in (CheckpointLoader.load_checkpoint, read_checkpoint):
        loaded = load(str(out / 'model.safetensors'), 'cpu')['state_dict']
        assert loaded.keys() == wanted.keys()
        assert all(torch.equal(loaded[key], wanted[key]) for key in wanted)
    backbone = create_model(
        'fchardnet70', pretrained=str(out / 'model.safetensors'), features_only=True
    )
    assert torch.equal(backbone.stem[0].conv.weight, wanted['backbone.stem.0.conv.weight'])
    before = (out / 'README.md').read_bytes()
    assert 'holds model.safetensors, config.json, README.md already' in convert(
        'fchardnet70_cityscapes', '--out-dir', out, fails=True
    )
    published = ['fchardnet70_cityscapes', '--out-dir', tmp_path / 'other']
    assert "leave out ['--data']" in convert(*published, '--data', 'mine', fails=True)
    (out / 'README.md').write_text('mine')
    convert('hardnet://fchardnet70_cityscapes', '--out-dir', out, '--overwrite')
    assert (out / 'README.md').read_bytes() == before


def test_a_checkpoint_of_ones_own(convert, tmp_path):
    """Its classes stay with it."""
    model = create_model('hardnet39ds', num_classes=3)
    meta = dict(dataset_meta=dict(classes=('a', 'b', 'c')))
    source = tmp_path / 'epoch_1.pth'
    torch.save(dict(meta=meta, state_dict=model.state_dict()), source)
    out = tmp_path / 'out'
    assert 'its card needs --data and --license' in convert(source, '--out-dir', out, fails=True)
    own = ['--data', 'letters', '--license', 'CC-BY-4.0', '--out-dir', out, '--name', 'letters39']
    assert 'needs --split' in convert(source, *own, '--metrics', 'accuracy=9', fails=True)
    assert 'must be NAME=NUMBER, got 9' in convert(source, *own, '--metrics', '9', fails=True)
    assert not out.exists()
    convert(source, *own, '--split', 'val', '--metrics', 'accuracy=98.5')
    fields, text = front_matter(out)
    assert fields['license'] == 'cc-by-4.0' and fields['library_name'] == 'timm'
    assert fields['model-index'][0]['name'] == 'letters39'
    assert '| accuracy | 98.5 | letters val |' in text
    config = json.loads((out / 'config.json').read_text())
    assert config['architecture'] == 'hardnet39ds' and config['num_classes'] == 3
    loaded = CheckpointLoader.load_checkpoint(str(out / 'model.safetensors'))
    assert loaded['meta']['dataset_meta']['classes'] == ['a', 'b', 'c']
    again = create_model('hardnet39ds', num_classes=3, pretrained=str(out / 'model.safetensors'))
    assert torch.equal(again.head.fc.weight, model.head.fc.weight)
    timm = pytest.importorskip('timm')
    import hardnet_mm.timm  # noqa: F401

    again = timm.create_model(f'local-dir:{out}', pretrained=True)
    assert torch.equal(again.head.fc.weight, model.head.fc.weight)


def test_a_model_that_is_none_of_ours(convert, tmp_path):
    torch.save(dict(state_dict={'conv.weight': torch.zeros(1)}), tmp_path / 'other.pth')
    own = ['--data', 'a', '--license', 'MIT', '--out-dir', tmp_path / 'out']
    assert 'of no published HarDNet' in convert(tmp_path / 'other.pth', *own, fails=True)
    assert not (tmp_path / 'out').exists()


def test_a_damaged_file(tmp_path):
    from hardnet_mm.checkpoints.safetensors_files import save_tensors

    path = tmp_path / 'model.safetensors'
    save_tensors(path, dict(a=torch.zeros(100)))
    check_checkpoint(str(path))
    path.write_bytes(path.read_bytes()[:-10])
    for read in (check_checkpoint, read_checkpoint):
        with pytest.raises(ValueError, match='model.safetensors is cut off or damaged'):
            read(str(path))


def test_at_an_address(server, cache, tmp_path):
    """Two of the same name are two files."""
    from hardnet_mm.checkpoints.safetensors_files import save_tensors

    for number in (1, 2):
        save_tensors(tmp_path / 'new', dict(a=torch.tensor(number)))
        server.files[f'{number}/model.safetensors'] = (tmp_path / 'new').read_bytes()
    for number in (1, 2, 1):
        loaded = CheckpointLoader.load_checkpoint(f'{server.address}{number}/model.safetensors')
        assert loaded['state_dict']['a'] == number
    assert len(server.requests) == 2


def cards():
    return {
        name: Card(name, weights, 'model.safetensors', weights.license, 1000 * bool(weights.config))
        if weights.task == 'Image Classification'
        else Card(name, weights, 'model.safetensors', weights.license)
        for name, weights in WEIGHTS.items()
    }


@pytest.mark.parametrize('name', WEIGHTS)
def test_every_record_makes_a_card(name):
    card = cards()[name]
    weights = card.weights
    assert weights.task in PIPELINES and weights.data in DATASETS
    known = {*METRIC_TYPES, 'Top 1 Accuracy', 'Top 5 Accuracy'}
    assert set(weights.metrics or ()) <= known
    text = card.text()
    for value in (weights.metrics or {}).values():
        assert f'| {value} |' in text
    json.loads(card.config())


def test_huggingface_reads_the_card():
    """Its own package checks the fields and the figures."""
    hub = pytest.importorskip('huggingface_hub')
    for name, card in cards().items():
        read = hub.ModelCard(card.text()).data
        figures = {(result.metric_name, result.metric_value) for result in read.eval_results or ()}
        assert set((card.weights.metrics or {}).items()) <= figures and read.license
        assert not read.eval_results or read.model_name == name


def test_what_the_cards_say_to_run(tmp_path, monkeypatch):
    """The blocks of the two kinds of backbones; timm's is in tests/test_timm.py."""
    from hardnet_mm.checkpoints.safetensors_files import save_tensors

    monkeypatch.chdir(tmp_path)
    for backbone in (HarDNet('fchardnet70'), HarDNetV2()):
        arch = 'fchardnet70' if isinstance(backbone, HarDNet) else 'hardnetv2_53'
        state = {f'backbone.{key}': value for key, value in backbone.state_dict().items()}
        save_tensors('model.safetensors', state)
        weights = WEIGHTS['hardnet68_base'].__class__((), arch, 'Object Detection', '')
        text = Card('a', weights, 'model.safetensors', 'MIT').text()
        names = {}
        exec(text.split('```python\n')[1].split('```')[0], names)
        loaded = names['backbone'].state_dict()
        assert all(torch.equal(value, loaded[key]) for key, value in backbone.state_dict().items())
