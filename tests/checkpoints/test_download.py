import hashlib
import io
import multiprocessing
import os
from dataclasses import replace

import pytest
import torch
from helpers.server import RunsCode, same
from mmengine.runner import CheckpointLoader

from hardnet_mm.backbones.architectures import ARCHITECTURES, ARCHITECTURES_V2
from hardnet_mm.checkpoints import convert_official
from hardnet_mm.checkpoints.download import find_weights
from hardnet_mm.checkpoints.loaders import register_schemes
from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.utils.errors import InputError

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
    closed = replace(WEIGHTS['hardnet39ds'], addresses=('http://127.0.0.1:9/hardnet39ds.pth',))
    monkeypatch.setitem(WEIGHTS, 'hardnet39ds', closed)
    with pytest.raises(
        ConnectionError,
        match='check the network, or put the file into.* load_from=None, or model.backbone',
    ):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    gone = replace(WEIGHTS['hardnet39ds'], addresses=(server.address + 'gone.pth',))
    monkeypatch.setitem(WEIGHTS, 'hardnet39ds', gone)
    with pytest.raises(ConnectionError, match='404'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds')
    assert os.listdir(cache) == []


def served(server, file, checkpoint):
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    server.files[file] = buffer.getvalue()
    return server.address + file


def use(monkeypatch, name, addresses):
    monkeypatch.setitem(WEIGHTS, name, replace(WEIGHTS[name], addresses=tuple(addresses)))


def test_the_first_address_that_has_the_file(publish, original, cache, server, monkeypatch):
    """After a host that is gone, a page of a domain's new owner, another file, and half a file."""
    file = publish(original)
    content = server.files[file]
    other = served(server, 'other.pth', {**original, 'base.14.3.bias': torch.ones(1000)})
    server.files.update({'page.pth': b'<html>', 'half.pth': content[:-1000], 'copy.pth': content})
    pages = [server.address + name for name in ('gone.pth', 'page.pth', 'half.pth', 'copy.pth')]
    pages.insert(2, other)
    published = f'http://127.0.0.1:9/{file}'  # whose name has the hash of all others
    use(monkeypatch, 'hardnet39ds', [published, *pages])
    assert same(
        CheckpointLoader.load_checkpoint('hardnet://hardnet39ds'), convert_official(original)
    )
    assert server.requests == ['gone.pth', 'page.pth', 'other.pth', 'half.pth', 'copy.pth']
    assert os.listdir(cache) == [file] and (cache / file).read_bytes() == content


def test_no_address_has_the_file(original, cache, server, monkeypatch):
    """All of them are told."""
    server.files['page.pth'] = b'<html>'
    addresses = ['http://127.0.0.1:9/a.pth', f'{server.address}page.pth']
    use(monkeypatch, 'hardnet39ds', addresses)
    with pytest.raises(InputError) as raised:
        find_weights('hardnet39ds')
    assert all(address in str(raised.value) for address in addresses)
    use(monkeypatch, 'hardnet39ds', [addresses[0], f'{server.address}gone.pth'])
    with pytest.raises(ConnectionError, match='a.pth .*gone.pth .*HARDNET_WEIGHTS_MIRROR'):
        find_weights('hardnet39ds')
    assert os.listdir(cache) == []


def test_a_mirror_comes_first(publish, original, cache, server, monkeypatch):
    file = publish(original)
    server.files[f'mirror/{file}'] = server.files[file]
    monkeypatch.setenv('HARDNET_WEIGHTS_MIRROR', f'{server.address}mirror/')
    find_weights('hardnet39ds').unlink()
    del server.files[f'mirror/{file}']  # it need not have all
    find_weights('hardnet39ds')
    assert server.requests == [f'mirror/{file}', f'mirror/{file}', file]
    (cache / file).unlink()
    monkeypatch.setenv('HARDNET_WEIGHTS_MIRROR', '/data/weights')
    with pytest.raises(InputError, match="HARDNET_WEIGHTS_MIRROR must be .* got '/data/weights'"):
        find_weights('hardnet39ds')


def test_a_file_without_a_hash_in_its_name_stays_the_same(original, cache, server, monkeypatch):
    use(monkeypatch, 'hardnet85_base', [served(server, 'base.pth', original)])
    for _ in range(2):
        CheckpointLoader.load_checkpoint('hardnet://hardnet85_base')
    assert server.requests == ['base.pth']
    digest = hashlib.sha256(server.files['base.pth']).hexdigest()
    assert (cache / 'base.pth.sha256').read_text() == f'{digest}  base.pth\n'
    changed = {**original, 'base.0.conv.weight': torch.zeros_like(original['base.0.conv.weight'])}
    served(server, 'base.pth', changed)
    (cache / 'base.pth').unlink()
    with pytest.raises(InputError, match=f'{server.address}base.pth has .*{digest}.*first down'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet85_base')
    assert os.listdir(cache) == ['base.pth.sha256']
    (cache / 'base.pth').write_bytes(server.files['base.pth'])
    with pytest.raises(InputError, match=f'says {digest}'):
        CheckpointLoader.load_checkpoint('hardnet://hardnet85_base')
    (cache / 'base.pth.sha256').unlink()  # as the message says
    (cache / 'base.pth').unlink()
    CheckpointLoader.load_checkpoint('hardnet://hardnet85_base')


def test_every_address_of_a_name_loads_it(publish, original, cache, server, monkeypatch):
    """`mim download` and old configs have an address in place of the name."""
    file = publish(original)
    (second,) = WEIGHTS['hardnet39ds'].addresses
    use(monkeypatch, 'hardnet39ds', [f'http://127.0.0.1:9/{file}', second])
    register_schemes()
    for address in WEIGHTS['hardnet39ds'].addresses:
        checkpoint = CheckpointLoader.load_checkpoint(address)
        assert same(checkpoint, convert_official(original))
    assert server.requests == [file]


def test_records_are_sound():
    # one file may be published for several input sizes
    records = {record.addresses: record for record in WEIGHTS.values()}.values()
    assert len({record.file for record in records}) == len(records)
    for record in WEIGHTS.values():
        assert all(address.startswith('https://') for address in record.addresses)
        assert record.architecture in {**ARCHITECTURES, **ARCHITECTURES_V2}
    assert len({a for record in records for a in record.addresses}) == sum(
        len(record.addresses) for record in records
    )


def test_every_published_file_has_a_licence():
    """Of the repository that it belongs to; a card states it."""
    assert {record.license for record in WEIGHTS.values()} == {'MIT', 'Apache-2.0'}
