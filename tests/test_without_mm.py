"""What works where neither mmcv nor mmengine is installed, and what says what to install."""

import subprocess
import sys

import pytest
import torch
from helpers.no_mm import packages_without_mm, run_without_mm
from helpers.stand_in import fill_state_dict

from hardnet_mm import create_model
from hardnet_mm.checkpoints import convert_official


@pytest.fixture(scope='module')
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp('packages')
    packages_without_mm(folder)
    return folder


# Everything that is compared, by a script that runs with and without mm.
NETWORKS = """
import sys
import torch
import hardnet_mm
from hardnet_mm import HarDNet, create_model
from hardnet_mm.backbones import HarDNetV2
from hardnet_mm.deploy import to_deploy

def networks(weights):
    torch.manual_seed(0)
    image = torch.rand(1, 3, 64, 64)
    yield 'classifier', create_model('hardnet39ds', num_classes=5), image
    pretrained = create_model('hardnet39ds', pretrained=weights).eval()
    yield 'pretrained', pretrained, image
    yield 'deploy', to_deploy(pretrained), image
    few = dict(out_indices=(0, 'stem0'))
    yield 'features', create_model('hardnet85', features_only=True, **few), image
    gn = dict(type='GN', num_groups=2)
    yield 'fchardnet70', HarDNet('fchardnet70_paddle', norm_cfg=gn, frozen_stages=0, **few), image
    yield 'memory', HarDNet('hardnet68', memory_efficient=True, with_cp=True, **few), image
    yield 'v2', HarDNetV2(act_cfg=dict(type='SiLU'), **few), image

def results(weights):
    all = {}
    for name, network, image in networks(weights):
        outputs = network(image)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if network.training:
            sum(output.square().mean() for output in outputs).backward()
        gradients = {key: p.grad for key, p in network.named_parameters() if p.grad is not None}
        all[name] = dict(outputs=outputs, state=dict(network.state_dict()), gradients=gradients)
    return all
"""


@pytest.mark.slow
def test_networks_are_the_same(packages, golden, tmp_path):
    """Keys, values of a seed, outputs and gradients."""
    state = fill_state_dict(golden('hardnet39ds_cls')['state_dict'])
    torch.save(state, tmp_path / 'original.pth')
    save = f'{NETWORKS}\ntorch.save(results(sys.argv[1]), sys.argv[2])'
    save += "\nassert not {'mmcv', 'mmengine'} & sys.modules.keys()"
    process = run_without_mm(packages, save, tmp_path / 'original.pth', tmp_path / 'results.pth')
    assert process.returncode == 0, process.stderr
    without = torch.load(tmp_path / 'results.pth', weights_only=True)
    here = {}
    exec(NETWORKS, here)
    wanted = here['results'](str(tmp_path / 'original.pth'))
    assert without.keys() == wanted.keys()
    for name, result in wanted.items():
        assert list(without[name]['state']) == list(result['state']), name
        torch.testing.assert_close(without[name], result, msg=lambda text, n=name: f'{n}: {text}')
    converted = convert_official(state)
    assert all(
        torch.equal(value, converted[key]) for key, value in without['pretrained']['state'].items()
    )


REFUSALS = """
import hardnet_mm
from hardnet_mm import HarDNet
from hardnet_mm.plain import ConvModule

def refused(call):
    try:
        call()
    except (ValueError, ImportError) as error:
        print(f'{type(error).__name__}: {error}')
    else:
        raise AssertionError('not refused')

refused(lambda: HarDNet('hardnet68', norm_cfg=dict(type='IN')))
refused(lambda: HarDNet('hardnet68', act_cfg=dict(type='Swish')))
refused(lambda: HarDNet('hardnet68', init_cfg=dict(type='Xavier', layer='Conv2d')).init_weights())
for room in ('benchmark', 'cls', 'compat', 'det', 'export', 'inference', 'seg', 'swap'):
    refused(lambda: __import__(f'hardnet_mm.{room}'))
"""


def test_what_needs_more_says_so(packages):
    process = run_without_mm(packages, REFUSALS)
    assert process.returncode == 0, process.stderr
    norm, act, init, *rooms = process.stdout.splitlines()
    assert "a norm is one of ['BN', 'SyncBN', 'GN'], got 'IN'" in norm
    assert "'InPlaceReLU6', 'ReLU'" in act and "got 'Swish'" in act
    assert "dict(type='Kaiming', layer='Conv2d')" in init and "'Xavier'" in init
    for line in (norm, act, init, *rooms):
        assert 'hardnet_mm[onedl]' in line and 'hardnet_mm[openmmlab]' in line
    assert len(rooms) == 8 and all('needs mmcv, which is not installed' in line for line in rooms)


def test_a_checkpoint_of_mmengine_is_read(packages, tmp_path):
    """Its log, too, which is of types of mmengine's."""
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance('without_mm')
    hub.update_scalar('loss', 1.0)
    model = create_model('hardnet39ds', num_classes=3)
    saved = dict(meta={}, state_dict=model.state_dict(), message_hub=hub.state_dict())
    torch.save(saved, tmp_path / 'epoch_1.pth')
    script = (
        'import sys, torch\nfrom hardnet_mm import create_model\n'
        "model = create_model('hardnet39ds', num_classes=3, pretrained=sys.argv[1])\n"
        'print(model.head.fc.weight.double().sum().item())'
    )
    process = run_without_mm(packages, script, tmp_path / 'epoch_1.pth')
    assert process.returncode == 0, process.stderr
    assert float(process.stdout) == model.head.fc.weight.double().sum().item()


def test_a_checkpoint_of_no_model(packages, tmp_path):
    torch.save([1], tmp_path / 'list.pth')
    call = 'import sys, hardnet_mm; hardnet_mm.create_model("hardnet39ds", pretrained=sys.argv[1])'
    process = run_without_mm(packages, call, tmp_path / 'list.pth')
    assert 'InputError' in process.stderr and 'must be a dict of names' in process.stderr


HUB = """
import sys, torch
sys.path.remove(sys.argv[1])  # the hub adds the repository by itself
repository = dict(repo_or_dir=sys.argv[1], source='local')
model = torch.hub.load(model='hardnet39ds', pretrained=sys.argv[2], num_classes=1000, **repository)
print(model.head.fc.weight.double().sum().item())
for name in ('hardnet68', 'hardnet68ds'):
    assert torch.hub.load(model=name, **repository).backbone.channels == (1024,)
assert torch.hub.load(model='hardnet85', **repository).backbone.channels == (1280,)
"""


@pytest.mark.slow
def test_torch_hub(packages, root, golden, tmp_path):
    state = fill_state_dict(golden('hardnet39ds_cls')['state_dict'])
    torch.save(state, tmp_path / 'original.pth')
    process = run_without_mm(packages, HUB, root, tmp_path / 'original.pth')
    assert process.returncode == 0, process.stderr
    weight = convert_official(state)['head.fc.weight']
    assert float(process.stdout) == weight.double().sum().item()


@pytest.mark.parametrize('missing', ['mmcv', 'mmengine'])
def test_one_of_the_two_is_not_enough(missing):
    script = (
        f"import sys\nsys.modules['{missing}'] = None\nimport hardnet_mm\nimport hardnet_mm.det"
    )
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f'ImportError: this part of hardnet_mm needs {missing}, which is not')
    assert result.stderr.count('Traceback') == 1
