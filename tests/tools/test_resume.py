"""What tools/train.py starts from."""

import os

import pytest
import torch
from mmengine.config import Config
from train import resume

from hardnet_mm.checkpoints.latest import find_latest
from hardnet_mm.utils.errors import InputError


@pytest.mark.parametrize(
    'checkpoint, there, wanted',
    [
        ('auto', False, (False, 'hardnet://hardnet85_base')),
        ('auto', True, (True, 'epoch_1.pth')),
        ('mine.pth', False, (True, 'mine.pth')),
    ],
)
def test_the_first_start_is_from_imagenets_weights(tmp_path, checkpoint, there, wanted):
    """With --resume, too: a job that is started again by the same command had a beginning."""
    if there:
        torch.save({}, tmp_path / 'epoch_1.pth')
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
        wanted = True, str(tmp_path / 'epoch_1.pth')
    cfg = Config(dict(load_from='hardnet://hardnet85_base', work_dir=str(tmp_path)))
    resume(cfg, checkpoint)
    assert (cfg.get('resume', False), cfg.load_from) == wanted


def test_the_latest_whole_checkpoint(tmp_path, capsys):
    """A kill or a full disk may leave a file cut off, and last_checkpoint empty or ahead."""
    for number in (1, 2, 3):
        torch.save(dict(number=number), tmp_path / f'epoch_{number}.pth')
        os.utime(tmp_path / f'epoch_{number}.pth', (number, number))
    pointer, last = tmp_path / 'last_checkpoint', tmp_path / 'epoch_3.pth'
    pointer.write_text(f'work_dirs/elsewhere/{last.name}')  # the folder was moved
    assert find_latest(tmp_path) == last
    last.write_bytes(last.read_bytes()[:-100])
    assert find_latest(tmp_path) == tmp_path / 'epoch_2.pth'
    assert 'epoch_3.pth is cut off: it is left out' in capsys.readouterr().err
    pointer.write_text('')
    assert find_latest(tmp_path) == tmp_path / 'epoch_2.pth'
    for damaged in (b'\0' * 40, b'\xff\x00\xfe', b'a' * 5000):  # as a power cut leaves it
        pointer.write_bytes(damaged)
        assert find_latest(tmp_path) == tmp_path / 'epoch_2.pth'
        assert 'left out' in capsys.readouterr().err
    pointer.write_text(str(tmp_path / 'epoch_1.pth'))  # what was asked for
    assert find_latest(tmp_path) == tmp_path / 'epoch_1.pth'
    for path in tmp_path.glob('*.pth'):
        path.write_bytes(b'PK')
    with pytest.raises(InputError, match='no checkpoint .* is complete'):
        find_latest(tmp_path)
