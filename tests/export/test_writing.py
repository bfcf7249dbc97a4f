"""What an export leaves on the disk, and what it leaves alone."""

import json
import os
import subprocess
import sys

import pytest
import torch
from helpers.exported import (
    Small,
    random_images,
    skip_without,
)

from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.formats.table import existing_files
from hardnet_mm.export.writing import export

IMAGES = random_images(1, (32, 32))


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_one_stem_for_all_formats(tmp_path):
    """Other files there stay as they are, and every file loads and gives the same."""
    for name in FORMATS:
        skip_without(name)
    others = {name: name.encode() for name in ('notes.txt', 'model.pt', 'model.pnnx.bin')}
    for name, content in others.items():
        (tmp_path / name).write_bytes(content)
    model = Small().eval()
    paths = [tmp_path / f'model{FORMATS[name].suffix}' for name in FORMATS]
    written = [export(model, IMAGES, path, name) for name, path in zip(FORMATS, paths)]
    assert {path.name for files in written for path in files} | set(others) == set(
        contents(tmp_path)
    )
    assert all(contents(tmp_path)[name] == content for name, content in others.items())
    wanted = model(IMAGES)[0].detach()
    for path in paths:
        found = torch.from_numpy(load(path)(IMAGES.numpy())['out'])
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize('name', FORMATS)
@pytest.mark.parametrize('which', [0, -1], ids=['main', 'companion'])
def test_nothing_is_replaced_unasked(tmp_path, name, which):
    """Refused before the model is looked at."""
    path = tmp_path / f'model{FORMATS[name].suffix}'
    file = FORMATS[name].files(path)[which]
    file.write_bytes(b'precious')
    assert existing_files(path, name) == [file]
    with pytest.raises(FileExistsError, match=f'{file.name} is there already.*--overwrite'):
        export(None, None, path, name)
    assert contents(tmp_path) == {file.name: b'precious'}


def test_a_folder_is_never_replaced(tmp_path):
    path = tmp_path / 'model.xml'
    (tmp_path / 'model.bin').mkdir()
    (tmp_path / 'model.bin/mine').write_bytes(b'precious')
    with pytest.raises(FileExistsError, match='model.bin is there already, and a folder'):
        export(None, None, path, 'openvino', overwrite=True)
    assert (tmp_path / 'model.bin/mine').read_bytes() == b'precious'


def test_a_file_that_came_meanwhile_stays(tmp_path):
    path = tmp_path / 'model.torchscript'
    with pytest.raises(FileExistsError, match='model.torchscript is there already'):
        export(
            Small().eval(),
            IMAGES,
            path,
            'torch',
            check=lambda new: path.write_bytes(b'precious'),
        )
    assert contents(tmp_path) == {path.name: b'precious'}


@pytest.mark.parametrize('part', ['quantize', 'check'])
@pytest.mark.parametrize('error', [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_failure(tmp_path, part, error):
    """Neither the folders that were made, nor a change to the files that were to be replaced."""

    def fail(path):
        assert path.is_file()
        raise error('it differs')

    with pytest.raises(error, match='it differs'):
        path = tmp_path / 'new/folder/model.torchscript'
        export(Small().eval(), IMAGES, path, 'torch', **{part: fail})
    assert contents(tmp_path) == {}
    (tmp_path / 'model.torchscript').write_bytes(b'old')
    with pytest.raises(error, match='it differs'):
        path = tmp_path / 'model.torchscript'
        export(Small().eval(), IMAGES, path, 'torch', overwrite=True, **{part: fail})
    assert contents(tmp_path) == {'model.torchscript': b'old'}


@pytest.mark.parametrize('broken', range(4))
def test_files_are_replaced_together(tmp_path, monkeypatch, broken):
    """Whichever of the moves fails, the old files are back; no mix is there at any time."""
    skip_without('openvino')
    old = {'model.xml': b'old', 'model.bin': b'old weights'}
    for name, content in old.items():
        (tmp_path / name).write_bytes(content)
    moves, replace = [], os.replace

    def fail_once(source, target):
        if len(moves) == broken:
            moves.append(None)
            raise OSError('disk full')
        moves.append(target)
        replace(source, target)
        now = {
            name: (tmp_path / name).read_bytes() == old[name]
            for name in old
            if (tmp_path / name).exists()
        }
        assert len(set(now.values())) < 2 or 'model.xml' not in now

    monkeypatch.setattr(os, 'replace', fail_once)
    path = tmp_path / 'model.xml'
    with pytest.raises(OSError, match='disk full'):
        export(Small().eval(), IMAGES, path, 'openvino', overwrite=True)
    assert contents(tmp_path) == old
    monkeypatch.undo()
    export(Small().eval(), IMAGES, path, 'openvino', overwrite=True)
    assert set(contents(tmp_path)) == set(old)
    assert load(path)(IMAGES.numpy())['out'].shape == (1, 4, 30, 30)


# An export in a process whose every connection and every further program is on record.
RECORDED = """
import json, os, socket, subprocess, sys
from pathlib import Path

record = []
def watch(event, args):
    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.gethostbyname', 'os.system'):
        record.append([event, repr(args[1:] if event == 'socket.connect' else args)])
    elif event == 'subprocess.Popen':
        record.append([event, [str(argument) for argument in args[1]]])
sys.addaudithook(watch)

from helpers.exported import Small, random_images
from hardnet_mm.export.writing import export
from hardnet_mm.export.formats import FORMATS, load
from hardnet_mm.export.quantization import QUANTIZERS

name, int8, path = sys.argv[1], sys.argv[2] == 'int8', Path(sys.argv[3])
images = random_images(1, (32, 32))
quantize = (lambda new: QUANTIZERS[name](new, [images.numpy()])) if int8 else None
export(Small().eval(), images, path, name, quantize)
load(path)(images.numpy())
print('record:' + json.dumps(record))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    'name, int8', [*((name, '') for name in FORMATS), ('onnx', 'int8'), ('openvino', 'int8')]
)
def test_an_export_installs_and_sends_nothing(root, tmp_path, name, int8):
    """No connection; no program but the converter; nothing written to the home folder."""
    skip_without(name, bool(int8))
    home = tmp_path / 'home'
    home.mkdir()
    left_out = ('CI', 'ORT_DISABLE_TELEMETRY')  # either turns reports off by itself
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment = {key: value for key, value in environment.items() if not key.startswith('XDG_')}
    environment['HOME'] = str(home)
    paths = [str(root / 'tests'), os.environ.get('PYTHONPATH', '')]
    environment['PYTHONPATH'] = os.pathsep.join(paths)
    path = tmp_path / f'out/model{FORMATS[name].suffix}'
    result = subprocess.run(
        [sys.executable, '-c', RECORDED, name, int8, str(path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    record = json.loads(result.stdout.rpartition('record:')[2])
    programs = [entry[1] for entry in record if entry[0] == 'subprocess.Popen']
    assert [entry for entry in record if entry[0] != 'subprocess.Popen'] == []
    converters = dict(mnn='_tools.mnnconvert', ncnn='pnnx')
    # ctypes asks ldconfig where libraries are
    programs = [' '.join(program) for program in programs if 'ldconfig' not in program[0]]
    assert len(programs) == (name in converters), programs
    assert all(converters[name] in program for program in programs)
    assert list(home.rglob('*')) == []
    assert existing_files(path, name) == FORMATS[name].files(path)
