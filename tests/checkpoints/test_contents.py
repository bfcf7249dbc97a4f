"""Checkpoints that come by mmengine's own loaders: no code is run, and what they hold is told."""

import io
import zipfile

import numpy as np
import pytest
import torch
from helpers.server import RunsCode
from mmengine.config import ConfigDict
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from hardnet_mm.checkpoints.contents import (
    check_groups,
    check_kinds,
    check_resumable,
    check_states,
    checked,
    tensors_of,
)
from hardnet_mm.checkpoints.files import load_weights
from hardnet_mm.utils.errors import InputError


@pytest.fixture
def mark(tmp_path):
    """What the code would create."""
    yield tmp_path / 'code_was_run'
    assert not (tmp_path / 'code_was_run').exists()


def load(path):
    return CheckpointLoader.load_checkpoint(str(path), 'cpu', None)


@pytest.mark.parametrize('is_zip', [True, False])
def test_a_local_file_that_runs_code(mark, tmp_path, is_zip):
    path = tmp_path / 'hostile.pth'
    content = dict(state_dict={}, meta=RunsCode(mark))
    torch.save(content, path, _use_new_zipfile_serialization=is_zip)
    with pytest.raises(InputError, match=r'hostile.pth asks to run \w+.system'):
        load(path)


def test_code_from_a_server(mark, tmp_path, server, cache):
    """At an address, and under a name that mmengine has for one."""
    torch.save(dict(state_dict={}, meta=RunsCode(mark)), tmp_path / 'hostile.pth')
    server.files['hostile.pth'] = (tmp_path / 'hostile.pth').read_bytes()
    for _ in range(2):  # downloaded, and from the cache
        with pytest.raises(InputError, match='asks to run'):
            load(f'{server.address}hostile.pth')
    assert server.requests == ['hostile.pth']
    with pytest.raises(InputError, match='asks to run'):
        mmengine_checkpoint.load_url(f'{server.address}hostile.pth')
    server.files['page.pth'] = b'<html>'
    with pytest.raises(InputError, match='page.pth is a web page'):
        load(f'{server.address}page.pth')
    assert [file.name.partition('_')[2] for file in cache.iterdir()] == ['hostile.pth']
    with pytest.raises(ConnectionError, match='none.pth could not be downloaded'):
        load(f'{server.address}none.pth')


def test_code_in_a_buffer(mark):
    """As mmengine reads what an object store holds."""
    read = getattr(mmengine_checkpoint, '_safe_torch_load', mmengine_checkpoint.torch.load)
    buffer = io.BytesIO()
    torch.save(dict(state_dict={}, meta=RunsCode(mark)), buffer)
    buffer.seek(0)
    with pytest.raises(InputError, match='asks to run'):
        read(buffer, map_location='cpu')


def test_statistics_are_all_that_is_reached_by_getattr(tmp_path):
    class Reaches:
        def __reduce__(self):
            return getattr, (HistoryBuffer, '__getattribute__')

    torch.save(dict(state_dict={}, meta=Reaches()), tmp_path / 'a.pth')
    with pytest.raises(InputError):
        load(tmp_path / 'a.pth')


def test_what_mmengine_saves_is_read(tmp_path):
    hub = MessageHub('contents')
    hub.update_scalar('train/loss', np.float32(0.5))
    hub.update_info('iter', 7)
    palette = np.zeros((2, 3), np.uint8)
    meta = dict(epoch=1, dataset_meta=ConfigDict(classes=('a',), palette=palette), places={1, 2})
    optimizer = dict(state={0: dict(step=torch.tensor(1.0))}, param_groups=[dict(betas=(0.9, 1))])
    content = dict(state_dict={}, meta=meta, message_hub=hub.state_dict(), optimizer=optimizer)
    torch.save(content, tmp_path / 'a.pth')
    loaded = load(tmp_path / 'a.pth')
    assert loaded['meta']['dataset_meta'].classes == ('a',)
    np.testing.assert_array_equal(loaded['meta']['dataset_meta'].palette, palette)
    assert loaded['message_hub']['log_scalars']['train/loss'].mean() == 0.5
    assert loaded['optimizer']['param_groups'] == optimizer['param_groups']


def test_the_text_of_a_config_is_taken_out():
    """mmengine runs it when it resumes."""
    meta = dict(epoch=1, config='raise SystemExit')
    assert checked('a.pth', dict(state_dict={}, meta=meta))['meta'] == dict(epoch=1)


@pytest.mark.parametrize(
    'content', [[1], torch.zeros(1), dict(state_dict=3), {1: 2}, dict(meta=[])]
)
def test_no_dict_of_a_model(content, tmp_path):
    torch.save(content, tmp_path / 'a.pth')
    if content == dict(meta=[]):
        content['meta'] = [1]
        torch.save(content, tmp_path / 'a.pth')
    with pytest.raises(
        InputError, match='a.pth is no checkpoint of a model: its .* must be a dict'
    ):
        load(tmp_path / 'a.pth')


def test_a_dict_of_other_keys():
    with pytest.raises(InputError, match='its file must be a dict of names, and is a dict of oth'):
        checked('a.pth', {0: torch.zeros(1)})


def test_numbers_of_another_kind():
    model = torch.nn.BatchNorm2d(3).state_dict()
    for kind in (torch.float64, torch.float16):
        check_kinds({**model, 'weight': torch.ones(3, dtype=kind)}, model)
    for kind in (torch.int64, torch.complex64, torch.bool):
        with pytest.raises(InputError, match=f'1 of its tensors, the first: weight is {kind}'):
            check_kinds({**model, 'weight': torch.ones(3, dtype=kind)}, model)
    broken = {**model, 'weight': torch.tensor([1.0, float('nan'), 1.0])}
    with pytest.raises(InputError, match='NaN in 1 of its tensors, the first: weight'):
        check_kinds(broken, model)
    check_kinds({**model, 'weight': torch.tensor(float('nan')).expand(10**6, 10**6)}, model)


def test_weights_alone_are_not_resumed():
    whole = dict(meta=dict(epoch=1, iter=3), optimizer={}, param_schedulers=[], message_hub={})
    check_resumable(whole)
    with pytest.raises(InputError, match='it has no meta.epoch, meta.iter, optimizer, '):
        check_resumable(dict(state_dict={}, meta={}))
    with pytest.raises(InputError, match='it has no message_hub to resume from'):
        check_resumable({key: value for key, value in whole.items() if key != 'message_hub'})


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(meta=dict(epoch=-1, iter=3)), 'meta.epoch -1'),
        (dict(optimizer='none'), 'optimizer of type str'),
        (
            dict(param_schedulers=3, message_hub=None),
            'param_schedulers of type int, message_hub of',
        ),
    ],
)
def test_a_damaged_state_is_not_resumed(change, words):
    whole = dict(meta=dict(epoch=1, iter=3), optimizer={}, param_schedulers=[], message_hub={})
    with pytest.raises(InputError, match=f'is damaged: it has {words}.*start from its weights'):
        check_resumable({**whole, **change})


def test_the_state_of_an_optimizer_of_other_parameters():
    optimizer = torch.optim.SGD(torch.nn.Conv2d(1, 1, 1).parameters(), 0.1)
    state, other = optimizer.state_dict(), torch.optim.SGD([torch.zeros(1)], 0.1).state_dict()
    check_groups(dict(optimizer=state), optimizer.param_groups)
    with pytest.raises(InputError, match=r'groups have \[1\] \(1 groups\).* config \[2\]'):
        check_groups(dict(optimizer=other), optimizer.param_groups)
    for damaged in ({}, dict(param_groups=3), dict(param_groups=[{}])):
        with pytest.raises(InputError, match='no param_groups'):
            check_groups(dict(optimizer=damaged), optimizer.param_groups)


@pytest.mark.parametrize(
    'kind',
    ['SGD', 'Adam', 'AdamW', 'NAdam', 'RAdam', 'Adamax', 'Adagrad', 'Adadelta', 'RMSprop', 'Rprop']
    + ['ASGD', 'LBFGS', 'Adafactor'],
)
def test_the_state_of_each_optimizer(kind):
    """Its own is resumed, whatever its shapes; that of a wider layer fits no step."""
    if not hasattr(torch.optim, kind):
        pytest.skip(f'torch {torch.__version__} has no {kind}')
    narrow, wide = (stepped(kind, width) for width in (3, 4))
    names = {parameter: 'fc.weight' for parameter in narrow.param_groups[0]['params']}
    check_states(dict(optimizer=narrow.state_dict()), narrow, names)
    if kind in ('LBFGS', 'Adafactor'):  # a history, and factors
        return
    with pytest.raises(InputError, match=r' of fc.weight is \(2, 4\), and the parameter \(2, 3\)'):
        check_states(dict(optimizer=wide.state_dict()), narrow, names)


def stepped(kind, width):
    """An optimizer of a 2 x width matrix after a step that gave it all the state it may have."""
    extra = dict(
        SGD=dict(momentum=0.9),
        Adam=dict(amsgrad=True),
        RMSprop=dict(momentum=0.9, centered=True),
    )
    parameter = torch.nn.Parameter(torch.ones(2, width))
    optimizer = getattr(torch.optim, kind)([parameter], **{'lr': 0.1, **extra.get(kind, {})})

    def closure():
        optimizer.zero_grad()
        loss = parameter.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return optimizer


def test_the_state_of_an_optimizer_of_another_package():
    """It may hold blocks or factors of any shape under any name."""

    class Other(torch.optim.SGD):
        pass

    parameter = torch.nn.Parameter(torch.ones(2, 3))
    state = Other([parameter], 0.1).state_dict()
    state['state'] = {0: dict(exp_avg=torch.zeros(1, 3))}
    check_states(dict(optimizer=state), Other([parameter], 0.1), {})
    del state['state']
    with pytest.raises(InputError, match='has no state'):
        check_states(dict(optimizer=state), Other([parameter], 0.1), {})


def test_what_is_no_tensor_is_no_weight():
    state = {'module.a': torch.zeros(1), 'b': 3}
    assert [*tensors_of(dict(state_dict=state))] == ['a'] and [*tensors_of(state)] == ['a']


def test_a_damaged_tensor(tmp_path):
    """PyTorch reads it, as other numbers."""
    path = tmp_path / 'a.pth'
    torch.save(dict(state_dict=dict(a=torch.zeros(10_000))), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    with pytest.raises(
        InputError, match='a.pth is damaged: the checksum of .*data/0 in it is wrong'
    ):
        load_weights(str(path))


def test_archives_that_unpack_to_more(tmp_path):
    path = tmp_path / 'bomb.pth'
    with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', bytes(2**20))
    with pytest.raises(InputError, match='bomb.pth unpacks to more than its size'):
        load_weights(str(path))


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_whatever_the_bytes_are_taken_for(tmp_path):
    """Every file that differs in a few bytes from a checkpoint is one, or is refused."""
    whole = tmp_path / 'whole.pth'
    torch.save(dict(state_dict=dict(a=torch.zeros(2))), whole, _use_new_zipfile_serialization=False)
    content, rng = whole.read_bytes(), np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        changed = bytearray(content)
        for place in rng.integers(0, len(content), 3):
            changed[place] = rng.integers(256)
        (tmp_path / 'changed.pth').write_bytes(changed)
        try:
            load_weights(str(tmp_path / 'changed.pth'))
        except InputError:
            refused += 1
    assert refused > 100
