import copy
import gc
from contextlib import nullcontext

import pytest
import torch
from mmcv.cnn import ConvModule
from torch.multiprocessing.reductions import StorageWeakRef

from hardnet_mm import HarDNet
from hardnet_mm.backbones import HarDBlock
from hardnet_mm.training.recomputation import (
    RecomputeFeatures,
    recompute,
    remember,
    remember_activations,
)


def test_recomputing_keeps_fewer_activations():
    saved = {}
    for with_cp in (False, True):
        block = HarDBlock(8, 10, 1.7, 8)
        recompute(block, blocks=with_cp)
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            block(torch.randn(2, 8, 16, 16, requires_grad=True))
        saved[with_cp] = sum(sizes)
    assert saved[True] < saved[False] / 4


def test_recomputing_updates_statistics_twice():
    """As ``with_cp`` says; mmdet's ResNet does the same."""
    block = HarDBlock(8, 10, 1.7, 2)
    recompute(block, blocks=True)
    block(torch.randn(2, 8, 6, 6, requires_grad=True)).sum().backward()
    assert [layer.norm.num_batches_tracked.item() for layer in block.layers] == [2, 2]


@pytest.mark.parametrize(
    'arch', ['hardnet39ds', pytest.param('hardnet68', marks=pytest.mark.slow), 'fchardnet70']
)
@pytest.mark.parametrize('autocast', [False, True])
@pytest.mark.parametrize('with_cp', [False, True])
def test_gradients_stay(arch, autocast, with_cp):
    torch.manual_seed(0)
    # in float32, so deep a network in training makes per cent of another order of summation
    images = torch.rand(2, 3, 64, 64, dtype=torch.float32 if autocast else torch.float64)
    plain = HarDNet(arch)
    saving = HarDNet(arch, memory_efficient=True, with_cp=with_cp)
    saving.load_state_dict(plain.state_dict())
    gradients = []
    for backbone in (plain, saving):
        backbone.to(images.dtype)
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            sum(output.square().mean() for output in backbone(images)).backward()
        gradients.append([parameter.grad for parameter in backbone.parameters()])
    rtol, atol = (1e-4, 1e-6) if autocast else (1e-7, 1e-10)
    torch.testing.assert_close(*gradients, rtol=rtol, atol=atol)


def is_stored_after(make, weight):
    """Tell whether a feature's memory outlives a convolution of it, until the backward pass.

    Args:
        make (Callable): Returns the feature, which is convolved with the weight.
        weight (Tensor): Its gradient is computed.
    """
    feature = make()
    output = torch.nn.functional.conv2d(feature, weight)
    memory = StorageWeakRef(feature.untyped_storage())
    del feature
    gc.collect()
    stored = not memory.expired()
    output.sum().backward()
    return stored


def test_no_concatenation_is_stored():
    features = [torch.rand(1, 4, 8, 8, requires_grad=True) for _ in range(2)]
    weights = [torch.rand(2, 8, 3, 3).requires_grad_()]
    weights.append(weights[0].detach().clone().requires_grad_())
    with RecomputeFeatures():
        assert not is_stored_after(lambda: torch.cat(features, dim=1), weights[0])
    assert is_stored_after(lambda: torch.cat(features, dim=1), weights[1])
    assert torch.equal(weights[0].grad, weights[1].grad)


def test_what_has_no_gradient_is_not_recomputed():
    """Nothing is gained: of frozen layers, the last output alone is saved."""
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    with RecomputeFeatures():
        assert is_stored_after(lambda: torch.cat([torch.rand(1, 4, 8, 8)] * 2, dim=1), weight)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('act', ['ReLU', 'ReLU6', 'InPlaceReLU6', None])
def test_no_activation_is_stored(training, act):
    layer = ConvModule(
        3, 4, 3, norm_cfg=dict(type='BN'), act_cfg=None if act is None else dict(type=act)
    ).train(training)
    plain, images = copy.deepcopy(layer), torch.randn(2, 3, 9, 9)
    remember_activations(layer)
    weights = [torch.rand(2, 4, 3, 3).requires_grad_()]
    weights.append(weights[0].detach().clone().requires_grad_())
    for each in (plain, layer):  # so that the running statistics differ from the batch's and from 0
        each(images)
    assert is_stored_after(lambda: plain(images), weights[0])
    with RecomputeFeatures():
        assert not is_stored_after(lambda: layer(images), weights[1])
    assert torch.equal(weights[0].grad, weights[1].grad)
    # not moved a second time
    assert torch.equal(layer.norm.running_mean, plain.norm.running_mean)


def test_of_a_stem_convolution_outputs_alone_are_stored():
    backbone = HarDNet('hardnet68', out_indices=(0,), memory_efficient=True)
    parts = dict(
        conv=record(layer.conv for layer in backbone.stem),
        norm=record(layer.norm for layer in backbone.stem),
        layer=record(backbone.stem),
    )
    outputs = backbone(torch.rand(1, 3, 64, 64))
    gc.collect()
    freed = {part: [output.expired() for output in made] for part, made in parts.items()}
    assert freed == dict(conv=[False] * 2, norm=[True] * 2, layer=[True] * 2)
    outputs[0].sum().backward()


def test_a_feature_is_made_once_for_all_that_saved_it():
    made = []
    feature = torch.rand(1, 4, 8, 8, requires_grad=True).clone()
    weight = torch.rand(2, 4, 3, 3, requires_grad=True)
    with RecomputeFeatures():
        remember(feature, lambda x: made.append(0) or x.clone(), feature)
        outputs = [torch.nn.functional.conv2d(feature, weight) for _ in range(3)]
    sum(output.sum() for output in outputs).backward(retain_graph=True)
    assert len(made) == 1
    sum(output.sum() for output in outputs).backward()  # again, and still right
    assert len(made) > 1


def test_a_tensor_that_takes_the_place_of_another():
    """A concatenation that nobody saved is freed, and its memory may come back in its shape."""
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    features = [torch.rand(1, 4, 64, 64, requires_grad=True) for _ in range(2)]
    with RecomputeFeatures():
        address = torch.cat(features, dim=1).data_ptr()
        others = []
        while len(others) < 50 and not (others and others[-1].data_ptr() == address):
            others.append(torch.rand(1, 8, 64, 64))
        torch.nn.functional.conv2d(others[-1], weight).sum().backward()
    (wanted,) = torch.autograd.grad(torch.nn.functional.conv2d(others[-1], weight).sum(), weight)
    torch.testing.assert_close(weight.grad, wanted)


@pytest.mark.parametrize('view', ['transpose', 'flip'])
def test_a_view_is_another_tensor(view):
    weight = torch.rand(2, 8, 3, 3, requires_grad=True)
    features = [torch.rand(1, 4, 6, 6, requires_grad=True) for _ in range(2)]
    gradients = []
    for context in (RecomputeFeatures(), nullcontext()):
        with context:
            whole = torch.cat(features, dim=1)
            other = whole.transpose(2, 3) if view == 'transpose' else whole.flip(2)
            output = torch.nn.functional.conv2d(other, weight).square().sum()
        gradients.append(torch.autograd.grad(output, [weight, *features]))
    torch.testing.assert_close(*gradients)


# Whatever is changed between the forward and the backward pass: either it does not matter, or
# plain autograd refuses it, and so must we.

TINY = dict(
    stem_channels=(4, 8),
    growth_multiplier=1.6,
    growth_rates=(4, 6),
    num_layers=(2, 4),
    transition_channels=(8, 12),
    downsample=(1, 0),
)
OUTPUTS = ('stem0', 'stem1', 'block0', 0, 'block1', 1)
NORMS = {
    'BN': dict(type='BN'),
    'BN in eval mode': dict(type='BN'),
    'SyncBN in eval mode': dict(type='SyncBN'),  # in training it needs a GPU
    'GN': dict(type='GN', num_groups=2),
}
MODIFIED = 'modified by an inplace operation'


def build(norm, **options):
    torch.manual_seed(0)
    backbone = HarDNet(TINY, out_indices=OUTPUTS, norm_cfg=NORMS[norm], **options).double()
    for module in backbone.modules():
        if hasattr(module, 'running_var'):
            torch.nn.init.uniform_(module.running_mean)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return backbone.train('eval' not in norm)


def images():
    return torch.rand(2, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def leave(backbone, images, outputs):
    """Change nothing."""


def gradients(backbone, change=leave):
    """Return the gradients, or MODIFIED, if that is what autograd says."""
    x = images()
    outputs = list(backbone(x))
    with torch.no_grad() if change.__name__ == 'change_in_place' else nullcontext():
        change(backbone, x, outputs)
    try:
        return torch.autograd.grad(
            sum(output.sin().sum() for output in outputs), list(backbone.parameters())
        )
    except RuntimeError as error:
        assert MODIFIED in str(error)
        return MODIFIED


def assert_right_or_refused(norm, change, as_if=leave, plain_needs_it=True, **options):
    """A change between the passes gives the gradients of ``as_if``, or is refused.

    ``as_if`` is the change out of place. What plain autograd accepts is not refused.
    """
    found = gradients(build(norm, memory_efficient=True, **options), change)
    if found != MODIFIED:
        torch.testing.assert_close(found, gradients(build(norm), as_if))
    elif plain_needs_it:
        assert gradients(build(norm), change) == MODIFIED
    return found


@pytest.mark.parametrize('with_cp', [False, True])
@pytest.mark.parametrize('norm', NORMS)
def test_an_output_changed_in_place(norm, with_cp):
    refused = []
    for index in range(len(OUTPUTS)):

        def change(backbone, images, outputs, index=index):
            outputs[index].mul_(2)

        def as_if(backbone, images, outputs, index=index):
            outputs[index] = outputs[index] * 2

        found = assert_right_or_refused(norm, change, as_if, with_cp=with_cp)
        refused.append(found == MODIFIED)
    # a norm that is not recomputed needs its output; an in-place activation keeps it anyway
    assert any(refused) == (norm in ('GN', 'SyncBN in eval mode'))


@pytest.mark.parametrize('norm', NORMS)
def test_parameters_and_statistics_changed_in_place(norm):
    names = [
        name
        for name, tensor in (*build(norm).named_parameters(), *build(norm).named_buffers())
        if tensor.is_floating_point()
    ]
    refused = set()
    for name in names[:7] + names[-7:]:

        def change_in_place(backbone, images, outputs, name=name):
            dict(backbone.named_parameters(), **dict(backbone.named_buffers()))[name].mul_(2)

        # plain autograd needs no bias: it kept what was made with it
        needed = not name.endswith('.bias')
        found = assert_right_or_refused(norm, change_in_place, plain_needs_it=needed)
        if found == MODIFIED:
            refused.add(name.rsplit('.')[-1])
    assert 'weight' in refused
    assert ('running_var' in refused) == (norm != 'GN')


@pytest.mark.parametrize('norm', NORMS)
def test_the_image_or_all_parameters_changed_in_place(norm):
    def change_in_place(backbone, images, outputs):
        images.mul_(2)

    assert assert_right_or_refused(norm, change_in_place) == MODIFIED

    def step(backbone, images, outputs):
        """An optimizer's, before the backward pass."""
        sum(parameter.sum() for parameter in backbone.parameters()).backward()
        torch.optim.SGD(backbone.parameters(), lr=0.1).step()

    assert assert_right_or_refused(norm, step) == MODIFIED


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize(
    'place', ['stem.0', 'stem.0.activate', 'stem.0.conv', 'stages.0.block0', 'stages.1.transition0']
)
def test_a_hook_that_changes_a_feature(norm, place):
    """Before it is saved: what is saved is the changed one."""

    def run(change, **options):
        backbone = build(norm, **options)
        backbone.get_submodule(place).register_forward_hook(change)
        return gradients(backbone)

    def in_place(module, inputs, output):
        output.mul_(2)

    found = run(in_place, memory_efficient=True)
    if found == MODIFIED:
        assert run(in_place) == MODIFIED
    else:
        torch.testing.assert_close(found, run(lambda module, inputs, output: output * 2))


def test_a_feature_saved_before_its_activation_changes_it():
    weight = torch.ones(1, dtype=torch.float64, requires_grad=True)
    found = []
    for options, feature in (({}, torch.clone), (dict(memory_efficient=True), lambda x: x)):
        backbone, products = build('BN', **options), []
        backbone.stem[0].norm.register_forward_hook(
            lambda module, inputs, output, feature=feature, products=products: products.append(
                feature(output) * weight
            )
        )
        outputs = backbone(images())
        loss = products[0].square().sum() + sum(output.sum() for output in outputs)
        found.append(torch.autograd.grad(loss, [weight, *backbone.parameters()]))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize('norm', ['BN', 'BN in eval mode', 'GN'])
def test_weights_that_are_not_the_modules_own(norm):
    """``functional_call`` puts others in their place, for the forward pass alone."""
    found = []
    for options in ({}, dict(memory_efficient=True)):
        backbone = build(norm, **options)
        weights = {
            name: (3 * parameter.detach()).requires_grad_()
            for name, parameter in backbone.named_parameters()
        }
        outputs = torch.func.functional_call(backbone, weights, (images(),))
        loss = sum(output.sin().sum() for output in outputs)
        found.append(torch.autograd.grad(loss, list(weights.values())))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize('norm', NORMS)
def test_backward_twice_and_double_backward(norm):
    found = []
    for options in ({}, dict(memory_efficient=True)):
        backbone = build(norm, **options)
        x = images().requires_grad_()
        loss = sum(output.sin().sum() for output in backbone(x))
        first, again = (torch.autograd.grad(loss, x, retain_graph=True)[0] for _ in range(2))
        assert torch.equal(first, again)
        (gradient,) = torch.autograd.grad(loss, x, create_graph=True)
        second = torch.autograd.grad(gradient.square().sum(), list(backbone.parameters()))
        found.append((first, gradient, *second))
    torch.testing.assert_close(*found)


def test_under_data_parallel_training(tmp_path):
    from torch import distributed

    distributed.init_process_group('gloo', f'file://{tmp_path}/store', rank=0, world_size=1)
    try:
        found = []
        for options in ({}, dict(memory_efficient=True), dict(memory_efficient=True, with_cp=True)):
            model = torch.nn.parallel.DistributedDataParallel(build('BN', **options))
            for _ in range(2):  # the second adds to the first
                sum(output.sin().sum() for output in model(images())).backward()
            found.append([parameter.grad for parameter in model.parameters()])
    finally:
        distributed.destroy_process_group()
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(found[0], found[2])


def record(layers):
    """Return what becomes the list of weak references to the memory of layers' outputs."""
    made = []
    for layer in layers:
        layer.register_forward_hook(
            lambda *args: made.append(StorageWeakRef(args[-1].untyped_storage()))
        )
    return made


@pytest.mark.parametrize('norm', NORMS)
@pytest.mark.parametrize('act', ['ReLU', 'ReLU6', 'InPlaceReLU6'])
def test_a_graph_without_a_backward_pass_is_freed(norm, act):
    backbone = build(norm, memory_efficient=True, act_cfg=dict(type=act))
    made = record(module for module in backbone.modules() if isinstance(module, ConvModule))
    backbone(images())
    gc.collect()
    assert made and all(output.expired() for output in made)


@pytest.mark.parametrize('options', [dict(frozen_stages=2), dict(with_cp=True)])
def test_recipes_that_nobody_saves_keep_nothing(options):
    """Frozen layers need none, and a checkpointed block is recomputed whole."""
    backbone = build('BN', memory_efficient=True, **options)
    stage, seen = backbone.stages[1], []
    made = record([stage.block0.layers[1].conv])  # of no layer that the block gives out
    stage.transition0.register_forward_pre_hook(
        lambda *_: seen.extend(output.expired() for output in made)
    )
    backbone(images())
    assert seen == [True]
