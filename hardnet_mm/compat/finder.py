"""Finds the stand-in for ``mmcv._ext`` without importing hardnet_mm.

``python -m hardnet_mm.compat install`` copies this text into the environment, where every start of
Python runs it. It therefore imports nothing until ``mmcv._ext`` is imported. It is the last finder,
so compiled operators are found first. If hardnet_mm has been uninstalled, it finds nothing.
"""

import sys


class OperatorsFinder:
    """Finder and loader of one module."""

    def find_spec(self, name, path=None, target=None):
        """Return the stand-in's spec, None for any other module."""
        if name != 'mmcv._ext' or not self.folder():
            return None
        from importlib.util import spec_from_loader

        return spec_from_loader(name, self)

    def folder(self):
        """Return the folder of the operators; None if they or torchvision are not installed."""
        import os.path
        from importlib.util import find_spec

        own = find_spec('hardnet_mm')
        for root in (own and own.submodule_search_locations) or ():
            folder = os.path.join(root, 'compat', 'mmcv_operators')
            if os.path.isfile(os.path.join(folder, '__init__.py')) and find_spec('torchvision'):
                return folder
        return None

    def create_module(self, spec):
        """Return the stand-in, loaded from its files alone, without hardnet_mm's other changes."""
        import os.path
        from importlib.util import module_from_spec, spec_from_file_location

        folder = self.folder()
        own = spec_from_file_location(
            'hardnet_mm_operators',
            os.path.join(folder, '__init__.py'),
            submodule_search_locations=[folder],
        )
        package = sys.modules[own.name] = module_from_spec(own)
        own.loader.exec_module(package)
        return package.make_extension()

    def exec_module(self, module):
        """Do nothing: the module is complete."""


if not any(type(finder).__name__ == 'OperatorsFinder' for finder in sys.meta_path):
    sys.meta_path.append(OperatorsFinder())
