"""Writes configs in mmengine's pure-Python style from text configs.

As in the text config, a file only has the differences from its bases. It names classes by import
instead of by string. Bases from a toolbox are written to our package, too, because an installed
toolbox has no configs that can be imported.
"""

import ast
import functools
import importlib
import re
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import Registry

from .config_text import WIDTH, Name, value_text
from .own_files import OWN_FILES, PACKAGE
from .toolboxes import TOOLBOXES, register_toolbox

# Keys whose ``type`` stays a string: mmcv and mmengine compare names of layers and initializers.
BY_NAME = ('norm_cfg', 'act_cfg', 'init_cfg', 'clip_grad')
LEAST_TO_NAME = 15  # characters of a value that is worth a variable's name


def write_all(names):
    """Return the pure-Python files of some configs, and of all configs that they inherit from.

    Args:
        names (Iterable[str]): Paths of text configs.

    Returns:
        dict[str, str]: Contents of the files, by path below ``hardnet_mm/configs``.
    """
    files = {}
    for name in names:
        config = _read(str(Path(name).resolve()))
        _write(config, config.scope, files)
    return files


def module_path(name):
    """Return the path of a text config's pure-Python file, below ``hardnet_mm/configs``.

    The name of the file ends in ``_lazy``, mmengine's other word for this style. mim searches the
    package for a config by its file name, and refuses a name that it finds twice.

    Args:
        name (str): Path or ``package::path`` of a text config.
    """
    package, colons, path = str(name).partition('::')
    if colons:
        stem = f'_base_/{package}_{Path(path).stem}'
    else:
        stem = str(Path(name).resolve().relative_to(OWN_FILES / 'configs').with_suffix(''))
        stem = stem if stem.startswith('_base_/') else f'{stem}_lazy'
    return re.sub(r'[^\w/]', '_', stem) + '.py'


class _Source:
    """A text config: its values, what it inherits from, and what it assigns."""

    def __init__(self, name):
        self.name = name
        path = Config._get_cfg_path(name, name)[0] if '::' in name else name
        config = Config.fromfile(path, import_custom_modules=False)
        self.values = without_scopes(config.to_dict())
        self.scope = config.get('default_scope')
        self.text = Path(path).read_text(encoding='utf-8')
        self.assigned, bases = [], ()
        for statement in ast.parse(self.text).body:
            if not isinstance(statement, ast.Assign):
                continue
            target = statement.targets[0]
            targets = target.elts if isinstance(target, ast.Tuple) else [target]
            self.assigned += [part.id for part in targets if isinstance(part, ast.Name)]
            if self.assigned[-1:] == ['_base_']:
                bases = ast.literal_eval(statement.value)
        bases = (bases,) if isinstance(bases, str) else bases
        # those of a toolbox's own files are below its folder
        self.bases = [
            base if '::' in base else str((Path(path).parent / base).resolve()) for base in bases
        ]

    def words(self):
        """Return the lines of the comment at the top of the text."""
        words = []
        for line in self.text.splitlines():
            if not line.startswith('#') or 'Copyright' in line:
                break
            words.append(line.removeprefix('#').strip())
        return words


_read = functools.cache(_Source)


def without_scopes(value):
    """Return a config without the ``_scope_`` entries that mmengine adds for a toolbox's bases."""
    if isinstance(value, dict):
        return {key: without_scopes(item) for key, item in value.items() if key != '_scope_'}
    return type(value)(map(without_scopes, value)) if isinstance(value, (list, tuple)) else value


def _write(config, scope, files):
    """Add a config's file to a dict of files, and those of its bases."""
    path = module_path(config.name)
    if path in files:
        return
    inherited = {}
    for base in config.bases:
        source = _read(base)
        _write(source, scope, files)
        inherited.update(source.values)
    classes, values, lines = _Classes(scope), config.values, []
    known = {key: value for key, value in inherited.items() if values.get(key) == value}
    order = [key for key in config.assigned if key in values]
    for key in dict.fromkeys([*order, *values]):
        if key not in inherited or inherited[key] != values[key]:
            lines.append(_assignment(key, values[key], inherited.get(key), known, classes))
            known[key] = values[key]
    files[path] = _text(config, classes, lines)


def _assignment(key, value, before, known, classes):
    """Return the lines that give a variable its value."""
    if not (isinstance(before, dict) and isinstance(value, dict)) or _name_of(value, known):
        return f'{key} = {value_text(_named(value, known, classes), len(key) + 3)}'
    change = _named(_difference(before, value), known, classes)
    if isinstance(change, Name):
        return f'{key}.update({change})'
    if '_delete_' not in repr(change):
        start = f'{key}.update'
        return start + value_text(change, len(start) - 4).removeprefix('dict')
    text = value_text(change, len(key) + 8)
    if '\n' not in text:
        return f'{key}.merge({text})'
    return f'{key}.merge(\n    {value_text(change, 4, 4)}\n)'


def _difference(before, after):
    """Return the dict that, merged into ``before``, gives ``after``."""
    if before.keys() - after.keys():
        return {'_delete_': True, **after}
    change = {}
    for key, value in after.items():
        if key in before and isinstance(before[key], dict) and isinstance(value, dict):
            if before[key] != value:
                change[key] = _difference(before[key], value)
        elif key not in before or before[key] != value:
            change[key] = value
    return change


def _name_of(value, known):
    """Return the name of a variable that holds a value, None if there is none."""
    if not isinstance(value, (dict, list, tuple)) or len(repr(value)) < LEAST_TO_NAME:
        return None
    names = (name for name, other in known.items() if _same(other, value))
    return next((Name(name) for name in names), None)


def _same(one, other):
    return type(one) is type(other) and one == other


def _named(value, known, classes, by_name=False):
    """Replace type strings by names of classes, and values of variables by the variables' names."""
    if name := _name_of(value, known):
        return name
    if isinstance(value, dict):
        return {
            key: classes.name(item)
            if key == 'type' and not by_name
            else _named(item, known, classes, by_name or key in BY_NAME)
            for key, item in value.items()
        }
    if not isinstance(value, (list, tuple)):
        return value
    items, done = [], 0
    while done < len(value):
        part = _part_of(value[done:], known) if isinstance(value, list) else None
        items.append(Name(f'*{part}') if part else _named(value[done], known, classes, by_name))
        done += len(known[part]) if part else 1
    return type(value)(items)


def _part_of(values, known):
    """Return the variable with the longest list that is a prefix of a list of dicts, or None."""
    lists = [
        (len(other), name)
        for name, other in known.items()
        if isinstance(other, list)
        and len(other) > 1
        and isinstance(other[0], dict)
        and _same(other, values[: len(other)])
    ]
    return max(lists)[1] if lists else None


class _Classes:
    """Finds what configs name by a string, and where it is imported from."""

    def __init__(self, scope):
        self.scope = scope
        self.imports = {}

    def name(self, text):
        """Return the :class:`Name` of a class or function, and import it; or the string itself.

        Args:
            text (str): Name in the registries, with or without scope.
        """
        entry = find_type(text, self.scope)
        if entry is None:
            return text
        self.imports[entry.__name__] = _public_module(entry)
        return Name(entry.__name__)

    def lines(self, with_bases):
        """Return the import statements, sorted as ruff sorts them.

        Args:
            with_bases (bool): Whether the config has bases to import.
        """
        imports = dict(self.imports, **({'read_base': 'mmengine.config'} if with_bases else {}))
        modules = {}
        for name, module in imports.items():
            modules.setdefault(module, []).append(name)
        groups = [], []
        for module in sorted(modules):
            names = sorted(modules[module], key=_import_order)
            line = f'from {module} import {", ".join(names)}'
            if len(line) > WIDTH:
                line = (
                    '\n    '.join([f'from {module} import (', *(f'{name},' for name in names)])
                    + '\n)'
                )
            groups[module.partition('.')[0] == PACKAGE.name].append(line)
        return '\n\n'.join('\n'.join(group) for group in groups if group)


def _import_order(name):
    """Return ruff's key of an imported name: constants, classes, then functions."""
    return not name.isupper(), not name[0].isupper(), name.lower()


@functools.cache
def find_type(text, scope):
    """Return the class or function of a config's ``type``, or None if no registry has it.

    Args:
        text (str): The ``type`` in the config.
        scope (str): The toolbox of the config.
    """
    package, dot, rest = text.partition('.')
    if dot and package in TOOLBOXES:
        scope, text = package, rest
    for registry in _registries(scope):
        entry = registry.get(text)
        if entry is not None:
            return entry
    return None


@functools.cache
def _registries(scope):
    values = vars(register_toolbox(scope)).values()
    for room in ('det', 'seg', 'cls'):
        importlib.import_module(f'{PACKAGE.name}.{room}')
    registries = [value for value in values if isinstance(value, Registry)]
    # theirs, which ask their parents; the parents alone would give classes that are overridden
    return [registry for registry in registries if registry.scope == scope]


def _public_module(entry):
    """Return the shortest package that exports a class or function."""
    parts = entry.__module__.split('.')
    modules = ('.'.join(parts[:end]) for end in range(1, len(parts)))
    exporting = (
        module
        for module in modules
        if getattr(importlib.import_module(module), entry.__name__, None) is entry
    )
    return next(exporting, entry.__module__)


def _text(config, classes, lines):
    """Return a file's text."""
    if '::' in config.name:
        origin = config.name
    else:
        origin = Path(config.name).resolve().relative_to(OWN_FILES)
    header = [f'# {line}'.rstrip() for line in config.words()]
    header += ['#'] if header else []
    header.append(f'# From {origin}')
    header.append('# by tools/pure_python_configs.py: change the former, then run the latter.')
    own_path = module_path(config.name)
    bases = sorted(_import_of(module_path(base), own_path) for base in config.bases)
    parts = [
        '\n'.join(header),
        classes.lines(bool(bases)),
        '\n'.join(['with read_base():', *bases]) if bases else '',
        '\n'.join(lines),
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _import_of(base, path):
    """Return the line that imports a base; both paths are below ``hardnet_mm/configs``."""
    module = base.removesuffix('.py')
    if '/' in path:  # both are in _base_
        module = module.rpartition('/')[2]
    return f'    from .{module.replace("/", ".")} import *'
