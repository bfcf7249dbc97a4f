import pytest
import torch

from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.inference.models import check_device, find_model, load_model
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


CONFIG = 'configs/digits/ssd_hardnet_digits.py'


def test_weights_of_another_model(root, models, tmp_path):
    torch.save(models('hardnet39ds')[0].state_dict(), tmp_path / 'other.pth')
    with pytest.raises(InputError, match='other.pth is not one of this config'):
        load_model(str(root / CONFIG), str(tmp_path / 'other.pth'))


@pytest.mark.parametrize('options', [dict(deploy='float32'), dict(device='meta')], ids=str)
def test_an_exported_file_computes_on_the_cpu(root, options):
    with pytest.raises(InputError, match='an exported file computes on the CPU'):
        load_model(str(root / CONFIG), 'model.onnx', **options)
