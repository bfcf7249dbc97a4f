"""Changes modules at the moment when they are imported."""

import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder


def when_imported(name, change):
    """Call a function with a module: now if the module is loaded, else when it is imported.

    Args:
        name (str): The module's full name.
        change (Callable): Takes the module. The same function is called only once.
    """
    if name in sys.modules:
        change(sys.modules[name])
        return
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    _FINDER.changes.setdefault(name, {})[change] = None


class _Finder(MetaPathFinder):
    """Finder that uses the finder of paths, and calls functions with a module after its import."""

    def __init__(self):
        self.changes = {}

    def find_spec(self, name, path, target=None):
        """Return the module's spec, with a loader that also calls the functions."""
        spec = PathFinder.find_spec(name, path, target) if name in self.changes else None
        if spec is not None:
            load_module = spec.loader.exec_module

            def load_and_change(module):
                load_module(module)
                for change in self.changes[name]:
                    change(module)

            spec.loader.exec_module = load_and_change
        return spec


_FINDER = _Finder()
