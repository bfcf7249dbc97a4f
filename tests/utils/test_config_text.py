from mmengine.config import Config

from hardnet_mm.utils.config_text import config_text


def test_config_text_reads_back(tmp_path):
    settings = dict(
        model=dict(a=[1, 2.5, None], b=('one',), c={'not.an.identifier': True}, d=dict(), e=[]),
        long=dict(first='x' * 50, second=['y' * 50, dict(z='z' * 50)], third=(1, 2)),
    )
    (tmp_path / 'base.py').write_text('')
    (tmp_path / 'config.py').write_text(config_text('base.py', settings))
    cfg = Config.fromfile(tmp_path / 'config.py')
    assert cfg._cfg_dict.to_dict() == settings
    assert max(map(len, (tmp_path / 'config.py').read_text().splitlines())) < 100
