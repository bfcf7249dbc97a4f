"""Models to be measured, each from a config, as one function of an image batch."""

from pathlib import Path

from mmengine.config import Config, ConfigDict
from mmengine.config.utils import _get_cfg_metainfo
from mmengine.fileio import load
from mmengine.hub import get_config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from mmengine.utils import get_installed_path, import_modules_from_strings
from torch import nn

OWN_FILES = Path(__file__).parents[1] / '.mim'
TOOLBOXES = ('mmdet', 'mmseg', 'mmpretrain')
METRICS = {'box AP': 'AP', 'mIoU': 'mIoU', 'Top 1 Accuracy': '% top-1'}


def read_config(name, options=None):
    """Read a config by path, or by name as ``mmseg::pidnet/pidnet-s_....py``.

    Args:
        name (str): Path or name.
        options (dict, optional): Settings to override, nested keys with dots.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If it belongs to no toolbox, or has no model.
    """
    if name.startswith('hardnet_mm::'):
        name = str(OWN_FILES / 'configs' / name.removeprefix('hardnet_mm::'))
    cfg = get_config(name) if '::' in name else Config.fromfile(name)
    cfg.merge_from_dict(options or {})
    if cfg.get('default_scope') not in TOOLBOXES or 'model' not in cfg:
        raise ValueError(f'{name} must have a model, and a default_scope among {TOOLBOXES}')
    return cfg


def build_model(cfg):
    """Return the config's model, in evaluation mode, its weights random.

    The initialization is the config's, but no checkpoint is read.
    """
    scope = cfg.default_scope
    import_modules_from_strings(f'{scope}.utils').register_all_modules(init_default_scope=False)
    registry = import_modules_from_strings(f'{scope}.registry')
    settings = _without_checkpoints(cfg.model)
    if 'data_preprocessor' in cfg:
        settings.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(scope):
        model = registry.MODELS.build(settings)
        model.init_weights()
    return revert_sync_batchnorm(model).eval()


def _without_checkpoints(settings):
    """Return a config without the entries that load weights."""
    if isinstance(settings, (list, tuple)):
        return type(settings)(map(_without_checkpoints, settings))
    if not isinstance(settings, dict):
        return settings
    return ConfigDict(
        {
            key: _without_checkpoints(value)
            for key, value in settings.items()
            if key != 'pretrained'
            and not (key == 'init_cfg' and 'Pretrained' in str(value) or key == '_scope_')
        }
    )


class Subject(nn.Module):
    """A model as one function of a normalised image batch, with the outputs that users compare.

    A classifier gives logits, a detector its head's raw outputs, a segmentor the label map at the
    images' size. Auxiliary heads, which only train, are left out.
    """

    def __init__(self, model, scope):
        super().__init__()
        if hasattr(model, 'auxiliary_head'):
            model.auxiliary_head = None
        self.model = model
        self.scope = scope

    def forward(self, images):
        """Map ``(N, 3, H, W)`` to the outputs."""
        if self.scope != 'mmseg':
            return self.model(images, mode='tensor')
        logits = self.model.encode_decode(images, [dict(img_shape=images.shape[2:])])
        return logits.argmax(dim=1)


def published(name):
    """Return a config's published result and where it is written, from its toolbox's metafile.

    Args:
        name (str): As of :func:`read_config`.

    Returns:
        str: For instance ``78.7 mIoU, Cityscapes (mmseg)``; empty where nothing is published.
    """
    package, _, path = name.rpartition('::')
    package = package or 'hardnet_mm'
    try:
        if package == 'hardnet_mm':
            meta = _own_metainfo(Path(path).stem)
        else:
            root = get_installed_path(import_modules_from_strings(package).__name__)
            meta = _get_cfg_metainfo(root, path)
    except (KeyError, ValueError):
        return ''
    results = meta.get('Results') or []
    for result in [results] if isinstance(results, dict) else results:
        for metric, unit in METRICS.items():
            if metric in result['Metrics']:
                return f'{result["Metrics"][metric]} {unit}, {result["Dataset"]} ({package})'
    return ''


def _own_metainfo(stem):
    for path in load(OWN_FILES / 'model-index.yml')['Import']:
        for model in load(OWN_FILES / path)['Models']:
            if Path(model['Config']).stem == stem:
                return model
    raise KeyError(stem)
