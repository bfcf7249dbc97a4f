"""The toolboxes that configs belong to."""

from importlib.util import find_spec

from mmengine.utils import import_modules_from_strings

# Each toolbox by its task, as mm's metafiles name the task.
TASKS = {
    'Image Classification': 'mmpretrain',
    'Object Detection': 'mmdet',
    'Semantic Segmentation': 'mmseg',
}
TOOLBOXES = tuple(TASKS.values())
PACKAGES = (*TOOLBOXES, 'mmcv', 'mmengine')


def register_toolbox(scope):
    """Import everything that a toolbox registers.

    Args:
        scope (str): The toolbox: mmdet, mmseg or mmpretrain.

    Returns:
        module: The toolbox's registries, as ``mmdet.registry``.
    """
    import_modules_from_strings(f'{scope}.utils').register_all_modules(init_default_scope=False)
    return import_modules_from_strings(f'{scope}.registry')


def check_installed(scope, name):
    """Refuse a toolbox that is not installed.

    Args:
        scope (str): The toolbox.
        name (str): The config that needs it.

    Raises:
        ImportError: If the toolbox is not installed. The message says how to install it.
    """
    if find_spec(scope) is None:
        raise ImportError(
            f'{name} is a config of {scope}, which is not installed: '
            "pip install 'hardnet_mm[onedl]' (the maintained continuation), or "
            "'hardnet_mm[openmmlab]' (OpenMMLab's last releases)",
            name=scope,
        )
