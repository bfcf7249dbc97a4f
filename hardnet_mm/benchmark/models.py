"""Models to measure, each as one function of an image batch, and their published results."""

from pathlib import Path

from mmengine.config.utils import _get_cfg_metainfo
from mmengine.utils import get_installed_path
from torch import nn

from ..utils.own_files import own_models

METRICS = {'box AP': 'AP', 'mIoU': 'mIoU', 'Top 1 Accuracy': '% top-1'}


class Subject(nn.Module):
    """A model as one function of a normalised image batch, with the outputs that are compared.

    A classifier returns logits, a detector the raw outputs of its head, a segmentor the label map
    at the images' size. Auxiliary heads, which are for training only, are removed.

    Args:
        model (nn.Module): The model, changed in place.
        scope (str, optional): The model's toolbox. Defaults to None: a model of no toolbox, which
            is called with the images alone.
    """

    def __init__(self, model, scope=None):
        super().__init__()
        if hasattr(model, 'auxiliary_head'):
            model.auxiliary_head = None
        self.model = model
        self.scope = scope
        self.asks_for_samples = scope == 'mmdet' and _asks_for_samples(model)

    def forward(self, images):
        """Map images ``(N, 3, H, W)`` to the model's outputs.

        Returns:
            Tensor | tuple: Logits ``(N, num_classes)`` of a classifier, a label map ``(N, H, W)``
            of a segmentor, nested tuples of maps of a detector.
        """
        if self.scope is None:
            return self.model(images)
        size = tuple(images.shape[2:])
        if self.scope == 'mmseg':
            logits = self.model.encode_decode(images, [dict(img_shape=size)])
            if self.model.out_channels == 1:
                return logits[:, 0].sigmoid() > self.model.decode_head.threshold
            return logits.argmax(dim=1)
        samples = [_sample(size) for _ in images] if self.asks_for_samples else None
        return self.model(images, samples, mode='tensor')


def _asks_for_samples(model):
    """Return whether a detector's raw outputs depend on the images' sizes, as proposals do."""
    from mmdet.models import SingleStageDetector

    return not isinstance(model, SingleStageDetector)


def _sample(size):
    from mmdet.structures import DetDataSample

    meta = dict(img_shape=size, ori_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
    return DetDataSample(metainfo=meta)


def published_result(name):
    """Return a config's published result from the metafile of its package.

    Args:
        name (str): Name of the config, as of :func:`hardnet_mm.utils.configs.read_config`.

    Returns:
        str: Metric, data set and package of the metafile, for instance ``78.7 mIoU, Cityscapes
        (mmseg)``. Empty if no result is published.
    """
    package, _, path = name.rpartition('::')
    package = package or 'hardnet_mm'
    try:
        if package == 'hardnet_mm':
            meta = next(m for m in own_models() if Path(m['Config']).stem == Path(path).stem)
        else:
            meta = _get_cfg_metainfo(get_installed_path(package), path)
    except (StopIteration, KeyError, ValueError):
        return ''
    results = meta.get('Results') or []
    for result in [results] if isinstance(results, dict) else results:
        for metric, unit in METRICS.items():
            if metric in result['Metrics']:
                return f'{result["Metrics"][metric]} {unit}, {result["Dataset"]} ({package})'
    return ''
