"""What tools/train.py starts from."""

import pytest
from mmengine.config import Config
from train import resume


@pytest.mark.parametrize(
    'checkpoint, there, wanted',
    [
        ('auto', False, (False, 'hardnet://hardnet85_base')),
        ('auto', True, (True, None)),
        ('mine.pth', False, (True, 'mine.pth')),
    ],
)
def test_the_first_start_is_from_imagenets_weights(tmp_path, checkpoint, there, wanted):
    """With --resume, too: a job that is started again by the same command had a beginning."""
    if there:
        (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'epoch_1.pth'))
    cfg = Config(dict(load_from='hardnet://hardnet85_base', work_dir=str(tmp_path)))
    resume(cfg, checkpoint)
    assert (cfg.get('resume', False), cfg.load_from) == wanted
