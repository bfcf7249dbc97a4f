"""mmpretrain's hub of models, told of ours."""

from contextlib import suppress
from pathlib import Path


def register_models():
    """Let ``mmpretrain.list_models``, ``get_model`` and the inferencers know our classifiers.

    Without a mmpretrain that can be imported, there is nobody to tell; whatever it fails with is
    no concern of those who use another toolbox.
    """
    with suppress(Exception):
        from mmpretrain.apis import ModelHub

        root = Path(__file__).parent / '.mim'
        ModelHub.register_model_index(root / 'configs/metafile_imagenet.yml', config_prefix=root)
