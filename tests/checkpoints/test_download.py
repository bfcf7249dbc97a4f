import multiprocessing
import os
from dataclasses import replace

import pytest
import torch
from helpers.server import RunsCode, same
from mmengine.runner import CheckpointLoader

from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.download import find_weights
from hardnet_mm.checkpoints.published import WEIGHTS

FAULTS = {
    'another hash': (dict(named_hash='0badc0de'), ValueError, 'promises 0badc0de'),
    'a web page': (dict(checkpoint=b'\n<!DOCTYPE html><html>gone</html>'), ValueError, 'web page'),
    'a text': (dict(checkpoint=b'moved'), ValueError, 'no checkpoint'),
    'nothing': (dict(checkpoint=b''), ValueError, 'no checkpoint'),
    'half a pickle': (dict(checkpoint=b'\x80\x02}q\x00'), ValueError, 'damaged'),
    'another model': (dict(checkpoint={'fc.weight': torch.zeros(1)}), ValueError, 'no original'),
}


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
