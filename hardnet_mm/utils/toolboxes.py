"""The toolboxes that configs belong to.

A toolbox is any package with a module ``registry``, as OpenMMLab's have. A project without such a
module registers its classes by the imports of its config.
"""

from importlib.util import find_spec
from pathlib import Path

import mmengine.registry
from mmengine.registry import MODELS
from mmengine.utils import import_modules_from_strings

from .errors import InputError
from .installed import STACKS

# The toolboxes that this plugin supports, with the name of their task in mm's metafiles.
TASKS = {
    'Image Classification': 'mmpretrain',
    'Object Detection': 'mmdet',
    'Semantic Segmentation': 'mmseg',
}
TOOLBOXES = tuple(TASKS.values())
PACKAGES = (*TOOLBOXES, 'mmcv', 'mmengine')
REGISTRIES = ('registry.py', 'registry')  # the module, or a package of that name


def is_toolbox(package):
    """Return whether an installed package has a module ``registry``, as toolboxes do."""
    spec = find_spec(package) if package.isidentifier() else None
    folders = [Path(folder) for folder in (spec and spec.submodule_search_locations) or []]
    return any(folder.joinpath(name).exists() for folder in folders for name in REGISTRIES)


def register_toolbox(scope):
    """Import everything that a toolbox registers, and return its module of registries.

    In a toolbox without ``utils.register_all_modules``, the registries know where their classes
    are, or the configs import them.

    Args:
        scope (str): An installed toolbox, or a scope for which an imported module of a project has
            created a registry.

    Returns:
        module: The toolbox's module ``registry``. For a project without one it is mmengine's, which
        finds the registries of the scope.
    """
    if not is_toolbox(scope):
        return mmengine.registry
    if find_spec(f'{scope}.utils'):
        utils = import_modules_from_strings(f'{scope}.utils')
        if hasattr(utils, 'register_all_modules'):
            utils.register_all_modules(init_default_scope=False)
    return import_modules_from_strings(f'{scope}.registry')


def is_registered(scope):
    """Return whether an imported module has created a registry of models for a scope."""
    return scope == MODELS.scope or scope in MODELS.children


def check_scope(scope, name):
    """Refuse an unknown scope.

    Args:
        scope (str): A config's ``default_scope``.
        name (str): Name of the config.

    Raises:
        ImportError: If it is a toolbox that this plugin supports, but not installed.
        InputError: If it is neither an installed toolbox nor the scope of a registry.
    """
    if scope in TOOLBOXES:
        check_installed(scope, name)
    elif not isinstance(scope, str) or not (is_registered(scope) or is_toolbox(scope)):
        raise InputError(
            f'{name}: default_scope must be the toolbox that the config is for, such as '
            f"{', '.join(map(repr, TOOLBOXES))}, or a scope of the project's own registries, got "
            f'{scope!r}: install the toolbox, or name the modules that make the registries in '
            'custom_imports'
        )


def check_installed(scope, name):
    """Refuse a toolbox that is not installed.

    Args:
        scope (str): The toolbox.
        name (str): The config that needs it.

    Raises:
        ImportError: If the toolbox is not installed. The message says how to install it.
    """
    if find_spec(scope) is not None:
        return
    cure = STACKS if scope in TOOLBOXES else 'install it first'
    raise ImportError(f'{name} is a config of {scope}, which is not installed: {cure}', name=scope)
