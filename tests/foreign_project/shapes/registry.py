"""The project's own registries, children of mmengine's as every OpenMMLab project's."""

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import METRICS as ROOT_METRICS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import Registry

MODELS = Registry('model', parent=ROOT_MODELS, scope='shapes', locations=['shapes'])
DATASETS = Registry('dataset', parent=ROOT_DATASETS, scope='shapes', locations=['shapes'])
METRICS = Registry('metric', parent=ROOT_METRICS, scope='shapes', locations=['shapes'])
