import pytest
from helpers.exported import filled
from mmengine.config import Config

from hardnet_mm.utils.configs import build_model


@pytest.fixture(scope='session')
def models(root):
    """The digits models on stand-in weights, each built once."""
    built = {}

    def get(name):
        if name not in built:
            cfg = Config.fromfile(root / f'configs/digits/{name}_digits.py')
            built[name] = filled(build_model(cfg)), cfg
        return built[name]

    return get
