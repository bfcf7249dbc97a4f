"""Configs with any value in an argument's place: built, or one line says what is wrong."""

import copy
import functools
import inspect
from pathlib import Path

import pytest
import torch
from command_line import in_one_line, is_of_user
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope

from hardnet_mm.utils.configs import read_config
from hardnet_mm.utils.toolboxes import register_toolbox

ROOT = Path(__file__).parents[1]
CONFIGS = (
    *('ssd_hardnet', 'rfb_hardnet', 'centernet_hardnet', 'fchardnet70', 'mseg_hardnet'),
    'hardnet39ds',
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats(width=32)
    | st.text(max_size=3)
    | st.sampled_from(['max', 'BN', 'GN', 'ReLU', 'block1'])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(['type', 'num_groups', 'val']), inner, max_size=2)
    ),
    max_leaves=6,
)


@functools.cache
def parts():
    """The parts of the digits' models that are of this package: scope, class, settings."""
    found = []
    for name in CONFIGS:
        cfg = read_config(str(ROOT / f'configs/digits/{name}_digits.py'))
        models = register_toolbox(cfg.default_scope).MODELS
        _collect(cfg.model, cfg.default_scope, models, found)
    return found


def _collect(settings, scope, models, found):
    if isinstance(settings, (list, tuple)):
        for part in settings:
            _collect(part, scope, models, found)
    if isinstance(settings, dict):
        kind = models.get(settings['type']) if 'type' in settings else None
        if kind is not None and kind.__module__.startswith('hardnet_mm.'):
            found.append((scope, models, kind, settings.to_dict()))
        for part in settings.values():
            _collect(part, scope, models, found)


def arguments(kind):
    """The names of the arguments that classes of this package take."""
    return sorted(
        {
            name
            for owner in kind.__mro__
            if owner.__module__.startswith('hardnet_mm.') and '__init__' in vars(owner)
            for name, parameter in inspect.signature(owner.__init__).parameters.items()
            if name != 'self' and parameter.kind is not parameter.VAR_KEYWORD
        }
    )


@st.composite
def changed_parts(draw):
    """A part of a model, with any value in an argument's place."""
    scope, models, kind, good = draw(st.sampled_from(parts()))
    changed = copy.deepcopy(good)
    changed[draw(st.sampled_from(arguments(kind)))] = draw(VALUES)
    return scope, models, changed


def check(part):
    scope, models, changed = part
    try:
        with DefaultScope.overwrite_default_scope(scope):
            built = models.build(changed)
    except Exception as error:
        assert is_of_user(error), f'{changed}: {type(error).__name__}: {error}'
        assert in_one_line(error), f'{changed}: {type(error).__name__} says nothing'
        return
    if hasattr(built, 'out_strides') and changed.get('in_channels', 3) == 3:
        with torch.no_grad():
            outputs = built.eval()(torch.zeros(1, 3, 64, 64))
        assert all(output.isfinite().all() for output in outputs), changed


FAST = settings(max_examples=80, deadline=None, derandomize=True, database=None)


@settings(FAST)
@given(changed_parts())
def test_any_value_in_an_arguments_place(part):
    check(part)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None, database=None, suppress_health_check=[*HealthCheck])
@given(changed_parts())
def test_many_values_in_arguments_places(part):
    check(part)


def test_the_list_of_parts_is_of_every_kind():
    names = {kind.__name__ for _, _, kind, _ in parts()}
    assert {'HarDNet', 'HarDNetSSDNeck', 'HarDNetSSDHead', 'RFBNeck', 'CTHarDNetNeck'} <= names
    assert {'CTHarDNetHead', 'FCHarDNetHead', 'HarDNetMSEGHead', 'DropoutLinearClsHead'} <= names
    assert {'BootstrappedCrossEntropyLoss', 'StructureLoss'} <= names
