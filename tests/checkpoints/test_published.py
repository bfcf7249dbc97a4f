import hashlib
import http.server
import multiprocessing
import os
import threading
import zipfile
from dataclasses import replace

import pytest
import torch
from helpers.stand_in import fill_state_dict, golden_input
from mmengine.config import Config
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint

from hardnet_mm import HarDNet, create_model
from hardnet_mm.backbones.architectures import ARCHITECTURES
from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.download import find_weights
from hardnet_mm.checkpoints.published import WEIGHTS


class RunsCode:
    """A pickle of it makes whoever reads it without care create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


@pytest.fixture(scope='module')
def original(golden):
    return fill_state_dict(golden('hardnet39ds_cls')['state_dict'])


class Server(http.server.ThreadingHTTPServer):
    """The weights' host: serves ``files``, a dict of names and bytes, and counts the requests."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.files, self.requests, self.cut = {}, [], 0
        self.address = f'http://127.0.0.1:{self.server_port}/'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # noqa: N802, its name
        name = self.path.removeprefix('/')
        self.server.requests.append(name)
        if name not in self.server.files:
            self.send_error(404)
            return
        content = self.server.files[name]
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) - self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    monkeypatch.delenv('HARDNET_WEIGHTS', raising=False)
    return tmp_path / 'hub/checkpoints'


@pytest.fixture
def publish(server, monkeypatch, tmp_path):
    """Return a function that serves a checkpoint as the weights of hardnet39ds."""

    def publish(checkpoint, named_hash=None):
        path = tmp_path / 'served.pth'
        if isinstance(checkpoint, bytes):
            path.write_bytes(checkpoint)
        else:
            torch.save(checkpoint, path)
        content = path.read_bytes()
        named_hash = named_hash or hashlib.sha256(content).hexdigest()[:8]
        file = f'hardnet39ds-{named_hash}.pth'
        server.files[file] = content
        record = replace(WEIGHTS['hardnet39ds'], address=server.address + file)
        monkeypatch.setitem(WEIGHTS, 'hardnet39ds', record)
        return file

    return publish


def same(checkpoint, wanted):
    state = checkpoint['state_dict']
    return state.keys() == wanted.keys() and all(torch.equal(state[k], wanted[k]) for k in wanted)


def test_downloads_once_and_then_needs_no_network(publish, original, cache, server):
    file = publish(original)
    for _ in range(2):
        state = CheckpointLoader.load_checkpoint('hardnet://hardnet39ds', map_location='cpu')
        assert same(state, convert_official(original))
    assert server.requests == [file]
    assert os.listdir(cache) == [file]


def test_eight_ranks_download_once(publish, original, cache, server):
    file = publish(original)
    context = multiprocessing.get_context('fork')
    ranks = [context.Process(target=find_weights, args=('hardnet39ds',)) for _ in range(8)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert [rank.exitcode for rank in ranks] == [0] * 8
    assert server.requests == [file]
    assert os.listdir(cache) == [file]


def test_reads_the_users_folder(publish, original, cache, server, tmp_path, monkeypatch):
    file = publish(original)
    torch.save(original, tmp_path / file)
    monkeypatch.setenv('HOME', str(tmp_path.parent))
    monkeypatch.setenv('HARDNET_WEIGHTS', f'~/{tmp_path.name}')
    with pytest.raises(ValueError, match='promises'):  # saved anew, it has another hash
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    (tmp_path / file).write_bytes(server.files[file])
    assert same(
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds'), convert_official(original)
    )
    assert not server.requests
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path / 'missing'))
    with pytest.raises(FileNotFoundError, match='HARDNET_WEIGHTS'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')


FAULTS = {
    'another hash': (dict(named_hash='0badc0de'), ValueError, 'promises 0badc0de'),
    'a web page': (dict(checkpoint=b'\n<!DOCTYPE html><html>gone</html>'), ValueError, 'web page'),
    'a text': (dict(checkpoint=b'moved'), ValueError, 'no checkpoint'),
    'nothing': (dict(checkpoint=b''), ValueError, 'no checkpoint'),
    'half a pickle': (dict(checkpoint=b'\x80\x02}q\x00'), ValueError, 'damaged'),
    'another model': (dict(checkpoint={'fc.weight': torch.zeros(1)}), ValueError, 'no original'),
}


@pytest.mark.parametrize('fault', FAULTS)
def test_a_file_that_is_not_what_was_published(fault, publish, original, cache, server):
    arguments, error, words = FAULTS[fault]
    file = publish(**{'checkpoint': original, **arguments})
    with pytest.raises(error, match=words) as raised:
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert os.listdir(cache) == []
    if fault != 'another model':
        assert server.address + file in str(raised.value)


def test_a_pickle_that_wants_to_run_code(publish, cache, tmp_path):
    publish({'base.0.conv.weight': RunsCode(tmp_path / 'run')})
    with pytest.raises(ValueError, match=r'asks to run \w+\.system.*refused'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert os.listdir(cache) == []
    assert not (tmp_path / 'run').exists()


def test_a_download_that_breaks_off(publish, original, cache, server):
    publish(original)
    server.cut = 1000
    with pytest.raises(ConnectionError, match='broke off after'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert os.listdir(cache) == []
    server.cut = 0
    CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')  # the next try may succeed


def test_a_file_cut_off_in_the_cache(publish, original, cache):
    file = publish(original)
    CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    (cache / file).write_bytes((cache / file).read_bytes()[:-1000])
    with pytest.raises(ValueError, match='cut off; .* delete that file, .* put a copy of http'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')


def test_what_was_allowed_stays_allowed(publish, original, cache):
    """Reading weights leaves mmengine's own checkpoints readable."""
    if not hasattr(torch.serialization, 'get_safe_globals'):
        pytest.skip('this torch has no list of what is allowed')
    publish(original)
    torch.serialization.add_safe_globals([HistoryBuffer])
    CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert HistoryBuffer in torch.serialization.get_safe_globals()


def test_comes_as_a_checkpoint_of_mmengine(publish, original, cache):
    """Hooks look into it: EMAHook, for one, beside 'state_dict'."""
    publish(original)
    checkpoint = CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert checkpoint.keys() == {'meta', 'state_dict'}


def test_no_network(publish, original, cache, server, monkeypatch):
    publish(original)
    closed = replace(WEIGHTS['hardnet39ds'], address='http://127.0.0.1:9/hardnet39ds.pth')
    monkeypatch.setitem(WEIGHTS, 'hardnet39ds', closed)
    with pytest.raises(ConnectionError, match='check the network, or put the file into'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    gone = replace(WEIGHTS['hardnet39ds'], address=server.address + 'gone.pth')
    monkeypatch.setitem(WEIGHTS, 'hardnet39ds', gone)
    with pytest.raises(ConnectionError, match='404'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert os.listdir(cache) == []


def test_an_unknown_name():
    with pytest.raises(ValueError, match="'hardnet70'.*hardnet39ds.*ssd512_hardnet68_coco"):
        CheckpointLoader.load_checkpoint('hardnet://hardnet70')


def test_the_published_pickle_holds_a_numpy_scalar(golden, cache, tmp_path, monkeypatch):
    """As FC-HarDNet's training program writes it."""
    import numpy as np

    state = fill_state_dict(golden('fchardnet70')['state_dict'])
    parallel = {f'module.{key}': value for key, value in state.items()}
    checkpoint = dict(epoch=3, model_state=parallel, best_iou=np.float64(0.777))
    torch.save(checkpoint, tmp_path / 'hardnet70_cityscapes_model.pkl')
    monkeypatch.setenv('HARDNET_WEIGHTS', str(tmp_path))
    address = WEIGHTS['fchardnet70_cityscapes'].address
    for name in ('hardnet://fchardnet70_cityscapes', address):
        assert same(CheckpointLoader.load_checkpoint(name), convert_official(state))


def test_old_format(original, cache, publish):
    """Published in 2019: files of torch.save before 1.6 are no zip archives."""
    path = cache.parent / 'old.pth'
    path.parent.mkdir()
    torch.save(original, path, _use_new_zipfile_serialization=False)
    assert not zipfile.is_zipfile(path)
    publish(path.read_bytes())
    assert same(
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds'), convert_official(original)
    )


@pytest.mark.parametrize('kind', ['name', 'path', 'address', 'mm'])
@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_pretrained_backbone(kind, prefix, publish, original, cache, server, tmp_path):
    """init_cfg of a backbone takes a name, an original's file, and a whole model of ours."""
    file = publish(original)
    torch.save(original, tmp_path / 'original.pth')
    torch.save(dict(state_dict=convert_official(original)), tmp_path / 'mm.pth')
    checkpoint = dict(
        name='hardnet://hardnet39ds',
        path=str(tmp_path / 'original.pth'),
        address=server.address + file,
        mm=str(tmp_path / 'mm.pth'),
    )[kind]
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
    if prefix:
        init_cfg['prefix'] = prefix
    backbone = HarDNet('hardnet39ds', init_cfg=init_cfg)
    backbone.init_weights()
    converted = convert_official(original)
    state = backbone.state_dict()
    assert all(torch.equal(value, converted[f'backbone.{key}']) for key, value in state.items())


def test_original_keys_in_load_state_dict(original):
    backbone = HarDNet('hardnet39ds')
    backbone.load_state_dict(original)  # strict
    assert torch.equal(backbone.stem[0].conv.weight, original['base.0.conv.weight'])
    backbone.load_state_dict(backbone.state_dict())


def test_classifier_from_a_users_copy(original, root, tmp_path, golden):
    """What `mim download` leaves, loaded as mim test and the inferencers load it."""
    from mmengine.registry import DefaultScope
    from mmpretrain.registry import MODELS

    torch.save(original, tmp_path / 'original.pth')
    cfg = Config.fromfile(root / 'configs/hardnet39ds_imagenet.py')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, str(tmp_path / 'original.pth'), strict=True)
    plain = create_model('hardnet39ds', pretrained=str(tmp_path / 'original.pth')).eval()
    image = golden_input(*golden('hardnet39ds_cls')['input'])
    with torch.no_grad():
        torch.testing.assert_close(plain(image), model(image, mode='tensor'))


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
