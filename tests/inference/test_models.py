import pytest

from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.inference.models import check_device, find_model
from hardnet_mm.utils.errors import InputError


def test_a_name_brings_config_and_weights():
    for name in ('ssd512_hardnet68_coco', 'hardnet://ssd512_hardnet68_coco'):
        assert find_model(name) == (
            'hardnet_mm::ssd512_hardnet68_coco.py',
            'hardnet://ssd512_hardnet68_coco',
        )
    assert find_model('hardnet68', 'own.pth') == ('hardnet_mm::hardnet68_imagenet.py', 'own.pth')
    part = next(name for name, record in WEIGHTS.items() if record.config is None)
    for name in (part, 'nothing'):
        with pytest.raises(InputError, match='no published model: those are .*hardnet68'):
            find_model(name)
    with pytest.raises(InputError, match='is a config: name the weights'):
        find_model('a.py')


def test_a_device_that_is_not_here():
    assert check_device('cpu').type == 'cpu'
    for device in ('toaster', 'cuda:99'):
        with pytest.raises(InputError, match=f"device '{device}' cannot be used"):
            check_device(device)
