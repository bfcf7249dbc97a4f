"""The registries of this plugin: mmengine's root, which every toolbox searches after its own.

Without mmengine, there are those of layers and functions alone.
"""

from .utils.installed import HAS_MM

if HAS_MM:
    from mmengine.registry import (
        DATASETS,
        FUNCTIONS,
        HOOKS,
        LOOPS,
        METRICS,
        MODELS,
        TASK_UTILS,
        TRANSFORMS,
    )
else:

    class Registry(dict):
        """Classes and functions by their names."""

        def register_module(self):
            """Return a decorator that adds a class or a function."""
            return lambda entry: self.setdefault(entry.__name__, entry)

    FUNCTIONS, MODELS = Registry(), Registry()
    DATASETS = HOOKS = LOOPS = METRICS = TASK_UTILS = TRANSFORMS = None

# A backbone is a model like any other; the second name tells a reader what is meant.
BACKBONES = MODELS

__all__ = [
    'BACKBONES',
    'DATASETS',
    'FUNCTIONS',
    'HOOKS',
    'LOOPS',
    'METRICS',
    'MODELS',
    'TASK_UTILS',
    'TRANSFORMS',
]
