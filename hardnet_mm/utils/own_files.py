"""This plugin's configs, tools and metafiles, in a checkout and in an installed package."""

import functools
from difflib import get_close_matches
from pathlib import Path

from mmengine.fileio import load

PACKAGE = Path(__file__).parents[1]
PREFIX = f'{PACKAGE.name}::'  # of their names
# In an installed package they are in .mim, where setup.py puts them; in a checkout, in its root.
OWN_FILES = PACKAGE / '.mim' if (PACKAGE / '.mim/configs').is_dir() else PACKAGE.parent


def find_config(name):
    """Return the path of one of this plugin's configs.

    Args:
        name (str): The config's path below ``configs``, with or without ``hardnet_mm::`` and
            ``.py``.

    Returns:
        Path: An absolute path.

    Raises:
        FileNotFoundError: If there is no such config. The message lists similar names.

    Examples:
        >>> find_config('hardnet_mm::hardnet68_imagenet').name
        'hardnet68_imagenet.py'
    """
    stem = name.removeprefix(PREFIX).removesuffix('.py')
    path = OWN_FILES / 'configs' / f'{stem}.py'
    if not path.is_file():
        configs = OWN_FILES / 'configs'
        known = sorted(
            str(path.relative_to(configs).with_suffix('')) for path in configs.rglob('*.py')
        )
        known = get_close_matches(stem, known) or [name for name in known if name[0] != '_']
        raise FileNotFoundError(
            f'{PREFIX}{stem}: hardnet_mm has no config {path}; it has {", ".join(known)}'
        )
    return path


@functools.cache
def own_models():
    """Return the metafiles' models as a list of dicts, with absolute paths of their configs."""
    metafiles = (load(OWN_FILES / path) for path in load(OWN_FILES / 'model-index.yml')['Import'])
    models = [model for metafile in metafiles for model in metafile['Models']]
    return [dict(model, Config=str(OWN_FILES / model['Config'])) for model in models]
