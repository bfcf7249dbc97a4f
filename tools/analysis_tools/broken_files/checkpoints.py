"""Checkpoints that run code, are cut off, hold something else, or claim too much."""

import math
import os
import pickle
import zipfile

import numpy as np
import torch

from .cases import Case

RUNS = r'asks to run \w+\.system, which weights do not need: refused'


class RunsCode:
    """An object whose pickle creates a file if it is loaded without restrictions."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)


class ReachesFunctions:
    """An object whose pickle tries to reach any function from an allowed class."""

    def __reduce__(self):
        from mmengine.logging import HistoryBuffer

        return getattr, (HistoryBuffer, '__getattribute__')


def hostile(shop, name='hostile.pth', **kwargs):
    """Write a checkpoint with good weights that also runs code."""
    content = torch.load(shop.good, weights_only=True)
    torch.save(dict(content, meta=RunsCode(shop.mark)), shop.file(name), **kwargs)
    return shop.file(name)


def bare_pickle(shop, name):
    """Write a pickle that only runs code."""
    shop.file(name).write_bytes(pickle.dumps(RunsCode(shop.mark), protocol=4))
    return shop.file(name)


def backbone(path):
    """Return the settings of a config whose backbone is initialized from a checkpoint."""
    init = 'model__backbone__init_cfg'
    return {
        f'{init}__type': 'Pretrained',
        f'{init}__checkpoint': path,
        f'{init}__prefix': 'backbone.',
    }


def address(shop, path):
    """Return the address at which a file is served."""
    return f'{shop.server}/{path.relative_to(shop.folder)}'


def by_last_checkpoint(shop):
    """Name a hostile file in last_checkpoint, and resume."""
    command = shop.train('--resume')
    (command[3] / 'last_checkpoint').write_text(str(hostile(shop)))
    return command


def published(shop):
    """Store a hostile file under the name of a published file, and load it by its name."""
    hostile(shop, 'hardnet70_cityscapes_model.pkl')
    os.environ['HARDNET_WEIGHTS'] = str(shop.file(''))
    return shop.train(load_from='hardnet://fchardnet70_cityscapes')


def published_backbone(shop):
    """Store a hostile file under a published name, and initialize the backbone by its name."""
    hostile(shop, 'hardnet68-5d684880.pth')
    os.environ['HARDNET_WEIGHTS'] = str(shop.file(''))
    return shop.train(**backbone('hardnet://hardnet68'))


def with_config_text(shop):
    """Write a checkpoint of a training whose config is Python code that creates a file."""
    content = torch.load(shop.resumable, weights_only=False)
    content['meta']['config'] = f'open({str(shop.mark)!r}, "w").close()'
    torch.save(content, shop.file('text.pth'))
    return shop.train('--resume', shop.file('text.pth'), train_cfg__max_epochs=2)


def cut(tenths):
    """Return a command that truncates a good checkpoint, and tests it."""

    def command(shop):
        content = shop.good.read_bytes()
        path = shop.file(f'cut{tenths}.pth')
        path.write_bytes(content[: len(content) * tenths // 10])
        return shop.test(path)

    return command


def changed(change, name='changed.pth', **arguments):
    """Return a command that changes a good checkpoint's state dict by a function, and tests it."""

    def command(shop):
        state = torch.load(shop.good, weights_only=True)['state_dict']
        change(state)
        torch.save(dict(state_dict=state, meta={}), shop.file(name))
        return shop.test(shop.file(name))

    return command


def holding(content):
    """Return a command that writes a file with other content, and tests it."""

    def command(shop):
        torch.save(content, shop.file('other.pth'))
        return shop.test(shop.file('other.pth'))

    return command


def resumed(path):
    """Return a command that resumes from a file."""
    return lambda shop: shop.train('--resume', path(shop))


def written(name, content):
    """Return a command that writes bytes to a file, and tests it."""

    def command(shop):
        shop.file(name).write_bytes(content)
        return shop.test(shop.file(name))

    return command


def half(shop):
    """Write the first half of a checkpoint."""
    content = shop.resumable.read_bytes()
    shop.file('half.pth').write_bytes(content[: len(content) // 2])
    return shop.file('half.pth')


def small_bomb(shop):
    """Write a checkpoint of 64 kB with a record that unpacks to 64 MB."""
    with zipfile.ZipFile(shop.file('small.pth'), 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr('archive/data.pkl', bytes(2**26))
    return shop.file('small.pth')


def nested(shop):
    """Write a checkpoint with a million lists, each in the next, as pickle cannot write it."""
    depth, source = 10**6, shop.file('empty.pth')
    torch.save({}, source)
    pickled = b'\x80\x02}(X\x0a\x00\x00\x00state_dict}X\x04\x00\x00\x00meta'
    pickled += b']' * depth + b'a' * (depth - 1) + b'u.'
    with (
        zipfile.ZipFile(source) as archive,
        zipfile.ZipFile(shop.file('nested.pth'), 'w') as new,
    ):
        for record in archive.infolist():
            is_pickle = record.filename.endswith('data.pkl')
            new.writestr(record.filename, pickled if is_pickle else archive.read(record))
    return shop.file('nested.pth')


def containing_itself():
    """Return a checkpoint whose weights contain themselves."""
    state = {}
    state['weights'] = state
    return dict(state_dict=state)


def lists_of_the_same(depth=12):
    """Return a checkpoint whose metadata are ten lists of the same ten lists, and so on."""
    lists = ['text'] * 10
    for _ in range(depth):
        lists = [lists] * 10
    return dict(state_dict={}, meta=dict(lists=lists))


def pointing(content):
    """Return a command that resumes by a last_checkpoint of some bytes."""

    def command(shop):
        command = shop.train('--resume')
        (command[3] / 'last_checkpoint').write_bytes(content)
        (command[3] / 'epoch_1.pth').write_bytes(shop.resumable.read_bytes())
        return [*command, 'train_cfg.max_epochs=2']

    return command


def pipe(shop):
    """Create a pipe to which nobody writes."""
    shop.file('pipe.pth').unlink(missing_ok=True)
    os.mkfifo(shop.file('pipe.pth'))
    return shop.file('pipe.pth')


def sparse(start):
    """Return a command that creates a sparse file of 10 GB."""

    def command(shop):
        with open(shop.file('sparse.pth'), 'wb') as file:
            file.write(start)
            file.truncate(10**10)
        return shop.test(shop.file('sparse.pth'))

    return command


def bomb(shop):
    """Write a checkpoint with a record that unpacks to 8 GB."""
    with (
        zipfile.ZipFile(shop.file('bomb.pth'), 'w', zipfile.ZIP_DEFLATED) as archive,
        archive.open('archive/data.pkl', 'w', force_zip64=True) as record,
    ):
        for _ in range(8 * 2**10):
            record.write(bytes(2**20))
    return shop.test(shop.file('bomb.pth'))


def damaged_tensor(shop):
    """Invert one byte of a tensor."""
    content = bytearray(shop.good.read_bytes())
    content[len(content) // 2] ^= 255
    shop.file('damaged.pth').write_bytes(content)
    return shop.test(shop.file('damaged.pth'))


def huge_array(shop):
    """Ask for an array of 10 TB."""
    call = np.empty(0).__reduce__()[0]

    class Huge:
        def __reduce__(self):
            return call, (np.ndarray, (10**13,), b'b')

    torch.save(dict(state_dict={}, meta=Huge()), shop.file('huge.pth'))
    return shop.test(shop.file('huge.pth'))


def torchscript(shop):
    """Save a model of TorchScript under a checkpoint's name."""
    torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)).save(str(shop.file('script.pth')))
    return shop.test(shop.file('script.pth'))


def _first(state):
    return next(key for key in state if key.endswith('conv.weight'))


def _to(kind):
    return lambda state: state.update({_first(state): state[_first(state)].to(kind)})


CASES = [
    Case('runs code; test.py', lambda s: s.test(hostile(s)), 2, RUNS),
    Case('runs code; predict.py', lambda s: s.predict(s.folder / 'images', hostile(s)), 2, RUNS),
    Case('runs code; train.py --resume FILE', resumed(hostile), 2, RUNS),
    Case('runs code; train.py --resume, by last_checkpoint', by_last_checkpoint, 2, RUNS),
    Case('runs code; load_from, a path', lambda s: s.train(load_from=hostile(s)), 2, RUNS),
    Case(
        'runs code; load_from, a URL',
        lambda s: s.train(load_from=address(s, hostile(s, 'served.pth'))),
        2,
        RUNS,
    ),
    Case('runs code; load_from, hardnet://NAME', published, 2, RUNS),
    Case('runs code; init_cfg, a path', lambda s: s.train(**backbone(hostile(s))), 2, RUNS),
    Case(
        'runs code; init_cfg, a URL',
        lambda s: s.train(**backbone(address(s, hostile(s, 'served2.pth')))),
        2,
        RUNS,
    ),
    Case('runs code; init_cfg, hardnet://NAME', published_backbone, 2, 'its name promises'),
    Case(
        'runs code, in the format before PyTorch 1.6; test.py',
        lambda s: s.test(hostile(s, 'old.pth', _use_new_zipfile_serialization=False)),
        2,
        RUNS,
    ),
    Case(
        'a pickle of code alone; test.py',
        lambda s: s.test(bare_pickle(s, 'a.pth')),
        2,
        'refused|damaged',
    ),
    Case(
        "a pickle of code alone, named as Paddle's; load_from",
        lambda s: s.train(load_from=bare_pickle(s, 'a.pdparams')),
        2,
        RUNS,
    ),
    Case(
        'reaches arbitrary functions through an allowed class; test.py',
        holding(dict(state_dict={}, meta=ReachesFunctions())),
        2,
        'is damaged|refused',
    ),
    Case(
        'code as the text of its config, which mmengine would run: removed; train.py --resume',
        with_config_text,
        0,
        r'Epoch\(train\)\s+\[2\]',
    ),
    Case(
        'runs code; hardnet_to_mm.py',
        lambda s: ['model_converters/hardnet_to_mm.py', hostile(s), s.file('out.pth')],
        2,
        RUNS,
    ),
    Case('truncated; train.py --resume FILE', resumed(half), 2, 'half.pth is cut off'),
    Case('truncated; load_from', lambda s: s.train(load_from=half(s)), 2, 'half.pth is cut off'),
    Case('truncated; init_cfg', lambda s: s.train(**backbone(half(s))), 2, 'half.pth is cut off'),
    *(
        Case(f'truncated after {tenths}0 %; test.py', cut(tenths), 2, 'is cut off|no checkpoint')
        for tenths in range(10)
    ),
    Case(
        'one byte of a tensor inverted; test.py',
        damaged_tensor,
        2,
        'the checksum of .* is wrong',
    ),
    Case(
        'a tensor missing; test.py',
        changed(lambda state: state.pop(_first(state))),
        2,
        'not one of this config: 1 of',
    ),
    Case(
        'an additional tensor: ignored, with a message; test.py',
        changed(lambda state: state.update(other=torch.zeros(3))),
        0,
        'unexpected key in source state_dict: other',
    ),
    Case(
        'a tensor of another shape; test.py',
        changed(lambda state: state.update({_first(state): torch.zeros(1)})),
        2,
        'not one of this config: 1 of',
    ),
    Case('a tensor of integers; test.py', changed(_to(torch.int32)), 2, 'is torch.int32, not'),
    Case(
        'a tensor of complex numbers; test.py', changed(_to(torch.complex64)), 2, 'complex64, not'
    ),
    Case('a tensor in float64: converted; test.py', changed(_to(torch.float64)), 0, 'bbox_mAP'),
    Case(
        'a number instead of a tensor; test.py',
        changed(lambda state: state.update({_first(state): 3})),
        2,
        'not one of this config: 1 of',
    ),
    Case('a list; test.py', holding([1, 2]), 2, 'its file must be a dict of names'),
    Case('a tensor; test.py', holding(torch.zeros(3)), 2, 'its file must be a dict of names'),
    Case('no tensors; test.py', holding(dict(state_dict={})), 2, 'not one of this config'),
    Case(
        'weights without a training state; train.py --resume',
        resumed(lambda shop: shop.good),
        2,
        'has no meta.epoch, .* to resume from',
    ),
    Case('a sparse file of 10 GB; test.py', sparse(b''), 2, 'is no checkpoint'),
    Case(
        'a sparse file of 10 GB that begins as a pickle; test.py', sparse(b'\x80\x02'), 2, 'damaged'
    ),
    Case(
        'a sparse file of 10 GB that begins as a zip archive; test.py',
        sparse(b'PK\x03\x04'),
        2,
        'is cut off',
    ),
    Case('a folder; test.py', lambda s: s.test(s.folder), 2, 'there is no checkpoint|is a folder'),
    Case('a web page; test.py', written('page.pth', b'<!DOCTYPE html>'), 2, 'is a web page'),
    Case(
        'a web page; load_from, a URL',
        lambda s: [
            written('page2.pth', b'<html>')(s),
            s.train(load_from=address(s, s.file('page2.pth'))),
        ][1],
        2,
        'is a web page',
    ),
    Case('an empty file; test.py', written('empty.pth', b''), 2, 'is no checkpoint'),
    Case(
        'a zip bomb of 8 MB that unpacks to 8 GB; test.py', bomb, 2, 'unpacks to more than its size'
    ),
    Case(
        'a zip bomb of 64 kB that unpacks to 64 MB; load_from',
        lambda s: s.train(load_from=small_bomb(s)),
        2,
        'unpacks to more than its size',
    ),
    Case(
        'a zip bomb of 64 kB that unpacks to 64 MB; init_cfg',
        lambda s: s.train(**backbone(small_bomb(s))),
        2,
        'unpacks to more than its size',
    ),
    Case('a million nested lists; test.py', lambda s: s.test(nested(s)), 2, 'must be a dict'),
    Case(
        'weights that contain themselves; test.py',
        holding(containing_itself()),
        2,
        'not one of this config',
    ),
    Case(
        'small, but 10^13 words if printed; test.py',
        holding(lists_of_the_same()),
        2,
        'not one of this config',
    ),
    Case(
        'a tensor of one number that claims to be of 10^12; test.py',
        changed(lambda state: state.update({_first(state): torch.zeros(1).expand(10**6, 10**6)})),
        2,
        'not one of this config: 1 of',
    ),
    Case(
        'NaN in a tensor; test.py',
        changed(lambda state: state[_first(state)].fill_(math.nan)),
        2,
        'has NaN in 1 of its tensors',
    ),
    Case('a pipe; test.py', lambda s: s.test(pipe(s)), 2, 'there is no checkpoint'),
    Case('/dev/zero; load_from', lambda s: s.train(load_from='/dev/zero'), 2, 'no checkpoint'),
    Case(
        'a last_checkpoint that is no text: the newest is taken; train.py --resume',
        pointing(b'\xff\x00\xfe'),
        0,
        r'Epoch\(train\)\s+\[2\]',
    ),
    Case('an array of 10 TB; test.py', huge_array, 2, 'damaged'),
    Case('a TorchScript model; test.py', torchscript, 2, 'is a model of TorchScript'),
]
