"""The kernels compiled for a Hopper, which Triton does without a GPU."""

import importlib.util
import re

import pytest
import torch

pytestmark = pytest.mark.slow
POINTERS = dict(bias='*fp32', partials='*fp32', arrivals='*i32')
BLOCKS = dict(rows=128, out=64, out2=0, inner=64, splits=1, warps=4, stages=3, taps=1)


@pytest.fixture(scope='module')
def kernels():
    """The module as it is where a GPU is: its functions are compiled, not interpreted."""
    pytest.importorskip('triton.tools.tensor_descriptor', reason='no Triton of 2025 or later')
    spec = importlib.util.find_spec('hardnet_mm.kernels.triton.kernels')
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, 'is_available', lambda: True)
        spec.loader.exec_module(module)
    return module


def compiled(function, warps, stages, constants, **types):
    """Return the PTX of a kernel; integers are int32, other tensors float16."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    options = dict(num_warps=warps, num_stages=stages)
    if constants['DEPENDENT']:
        options['launch_pdl'] = True
    types = {**POINTERS, **dict.fromkeys(('x', 'weight', 'weight2', 'out'), '*fp16'), **types}
    types.update(dict.fromkeys(constants, 'constexpr'))
    signature = {name: types.get(name, 'i32') for name in function.arg_names}
    aligned = {
        (index,): [['tt.divisibility', 16]]
        for index, kind in enumerate(signature.values())
        if kind.startswith('*')
    }
    source = ASTSource(function, signature, constants, aligned)
    target = GPUTarget('cuda', 90, 32)
    return triton.compile(source, target=target, options=options).asm['ptx']


@pytest.mark.parametrize('dtype', ['fp16', 'bf16'])
@pytest.mark.parametrize(
    'changes',
    [
        dict(),
        dict(taps=3, warps=8),
        dict(taps=3, out2=32, splits=2, warps=8, dependent=True),
        dict(accelerator=False, taps=3, out=32),
        dict(accelerator=False, stride=2),
    ],
)
def test_linked_conv(kernels, changes, dtype):
    blocks = {**BLOCKS, 'accelerator': True, 'stride': 1, 'dependent': False, **changes}
    rows, inner = blocks['rows'], blocks['inner']
    constants = dict(
        **dict(KERNEL=3, STRIDE=blocks['stride'], ACT=2, PADDED=True, SPLIT=blocks['splits'] > 1),
        **dict(ACCELERATOR=blocks['accelerator'], TAPS=blocks['taps']),
        **dict(DEPENDENT=blocks['dependent'], BLOCK_ROWS=rows, BLOCK_IN=inner),
        **dict(BLOCK_OUT=blocks['out'], BLOCK_OUT2=blocks['out2']),
    )
    types = dict.fromkeys(('x', 'weight', 'weight2', 'out'), f'*{dtype}')
    if blocks['accelerator']:
        types['x'] = f'tensordesc<{dtype}[{rows}, {inner}]>'
        types['weight'] = f'tensordesc<{dtype}[{blocks["out"]}, {inner}]>'
        types['weight2'] = f'tensordesc<{dtype}[{blocks["out2"]}, {inner}]>'
        if not blocks['out2']:
            constants['weight2'] = None
    ptx = compiled(kernels.linked_conv, blocks['warps'], blocks['stages'], constants, **types)
    assert 'wgmma.mma_async' in ptx
    assert ('cp.async.bulk.tensor' in ptx) == blocks['accelerator']
    assert ('griddepcontrol.wait' in ptx) == blocks['dependent']
    # a step's products wait for those of the step before alone
    waits = re.findall(r'wgmma\.wait_group\.sync\.aligned (\d+)', ptx)
    assert waits[0] == str(blocks['taps'] * (1 + (blocks['out2'] > 0)))


@pytest.mark.parametrize('dependent', [False, True])
def test_pool(kernels, dependent):
    constants = dict(KERNEL=2, STRIDE=2, PADDING=0, AVERAGE=False, GROUP=8, DEPENDENT=dependent)
    constants.update(BLOCK_ROWS=64, BLOCK_CHANNELS=64)
    ptx = compiled(kernels.pool, 4, 3, constants)
    assert ('griddepcontrol.wait' in ptx) == dependent


@pytest.mark.parametrize('images', ['*fp32', '*u8', '*fp16'])
def test_image_conv(kernels, images):
    constants = dict(CHANNELS=3, KERNEL=3, STRIDE=2, ACT=2, DEPTH=32, DEPENDENT=True)
    constants.update(BLOCK_ROWS=128, BLOCK_OUT=32)
    assert 'griddepcontrol.wait' in compiled(kernels.image_conv, 4, 3, constants, x=images)
