"""The registries of this plugin: mmengine's root, which every toolbox searches after its own."""

from mmengine.registry import (
    DATASETS,
    HOOKS,
    LOOPS,
    METRICS,
    MODELS,
    TASK_UTILS,
    TRANSFORMS,
)

# A backbone is a model like any other; the second name tells a reader what is meant.
BACKBONES = MODELS

__all__ = [
    'BACKBONES',
    'DATASETS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'TASK_UTILS',
    'TRANSFORMS',
]
