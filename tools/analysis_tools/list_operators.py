"""List the callers of mmcv's compiled operators, and the stand-ins for those operators.

Sources are parsed, not imported: mmcv.ops, the installed toolboxes, and folders named by --source
(a checkout or an unpacked release, for instance of mmrotate).
"""

import argparse
import ast
import importlib.util
import sys
from collections import defaultdict
from pathlib import Path

from hardnet_mm.compat.mmcv_operators import OPERATORS
from hardnet_mm.utils.own_files import OWN_FILES
from hardnet_mm.utils.toolboxes import TOOLBOXES

sys.path.append(str(Path(__file__).resolve().parents[1]))
from marked_page import write_between  # noqa: E402

PAGE = OWN_FILES / 'docs/operators.md'
BEGIN = '<!-- written by tools/analysis_tools/list_operators.py, from here -->'
END = '<!-- to here -->'


def parse(path):
    """Return the syntax tree of a source file."""
    return ast.parse(path.read_text(encoding='utf-8', errors='replace'), str(path))


def installed_folder(package):
    """Return the folder of an installed package, None if it is not installed."""
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec else None


class Operators:
    """The operators of ``mmcv._ext`` that each public name of ``mmcv.ops`` calls.

    Args:
        folder (Path): Folder of ``mmcv.ops``.

    Attributes:
        reached (dict[str, set[str]]): Operators called, directly or not, by public name.
        registered (dict[str, str]): Public names, by the name in a registry.
        all (set[str]): All operators that mmcv.ops names.
    """

    def __init__(self, folder):
        self._uses, self._imports = {}, {}
        self.registered = {}
        for path in folder.glob('*.py'):
            self._read(path.stem, parse(path))
        self.all = {name for uses in self._uses.values() for name in uses if name[:1] == '.'}
        self.all = {name[1:] for name in self.all}
        self.reached = {
            name: self._reach((module, name), set())
            for (module, name) in self._uses
            if not name.startswith('_')
        }

    def _read(self, module, tree):
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
                for alias in node.names:
                    self._imports[module, alias.asname or alias.name] = (node.module, alias.name)
            for name in _defined(node):
                self._uses[module, name] = set(_mentions(node))
                for registered in _registered(node):
                    self.registered[registered] = name

    def _reach(self, place, seen):
        place = self._imports.get(place, place)
        if place in seen:
            return set()
        seen.add(place)
        found = set()
        for name in self._uses.get(place, ()):
            found |= {name[1:]} if name[:1] == '.' else self._reach((place[0], name), seen)
        return found


def _defined(node):
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return [node.name]
    targets = getattr(node, 'targets', [])
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _mentions(node):
    """Yield the names that a definition uses; those of operators begin with a dot."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute) and getattr(part.value, 'id', '') == 'ext_module':
            yield f'.{part.attr}'


def _registered(node):
    for decorator in getattr(node, 'decorator_list', []):
        if 'register_module' in ast.unparse(decorator):
            named = [part.value for part in ast.walk(decorator) if isinstance(part, ast.Constant)]
            yield from named or [node.name]


def names_of_mmcv(tree, operators):
    """Yield the public names of mmcv.ops that a source imports, or names as a config's type."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or '').startswith('mmcv.ops'):
            yield from (alias.name for alias in node.names)
        pairs = zip(node.keys, node.values) if isinstance(node, ast.Dict) else ()
        types = [value for key, value in pairs if getattr(key, 'value', '') == 'type']
        if isinstance(node, ast.Call):
            types = [keyword.value for keyword in node.keywords if keyword.arg == 'type']
        for value in types:
            name = getattr(value, 'value', None)
            if isinstance(name, str):
                yield operators.registered.get(name, name)


def callers(folders, operators):
    """Return the callers of each operator.

    Args:
        folders (dict[str, Path]): Sources, by the toolbox's name.
        operators (Operators): Operators of the installed mmcv.

    Returns:
        dict: ``{operator: {(toolbox, public name): number of files}}``.
    """
    found = defaultdict(lambda: defaultdict(int))
    for toolbox, folder in folders.items():
        for path in sorted(folder.rglob('*.py')):
            for name in set(names_of_mmcv(parse(path), operators)):
                for operator in operators.reached.get(name, ()):
                    found[operator][toolbox, name] += 1
    return found


def table(found, operators):
    """Return the lines of a Markdown table with a row per operator."""
    lines = [
        '| operator of mmcv | used by (files) | computed by | compared with |',
        '|---|---|---|---|',
    ]
    for name in sorted(found):
        by_toolbox = defaultdict(list)
        for (toolbox, public), files in sorted(found[name].items()):
            by_toolbox[toolbox].append(f'{public} ({files})')
        users = '; '.join(f'{toolbox}: {", ".join(to)}' for toolbox, to in by_toolbox.items())
        own = OPERATORS.get(name)
        by, compared = (own.computed_by, own.compared_with) if own else ('**none**', '')
        lines.append(f'| `{name}` | {users} | {by} | {compared} |')
    unreached = sorted(operators.all - set(found) - set(OPERATORS))
    present = sorted(set(OPERATORS) - set(found))
    if present:
        lines += ['', f'Computed here, but used by none of these toolboxes: {_code(present)}.']
    lines += ['', f'Used by none of them, and an error when called: {_code(unreached)}.']
    return lines


def _code(names):
    return ', '.join(f'`{name}`' for name in names)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--source',
        nargs='*',
        default=[],
        metavar='NAME=FOLDER',
        help='sources of a toolbox that is not installed: mmrotate=onedl-mmrotate/mmrotate',
    )
    parser.add_argument('--write', action='store_true', help='replace the table in the docs')
    return parser.parse_args()


def main():
    args = parse_args()
    operators = Operators(installed_folder('mmcv') / 'ops')
    folders = {name: installed_folder(name) for name in TOOLBOXES if installed_folder(name)}
    for source in args.source:
        name, _, folder = source.partition('=')
        if not Path(folder).is_dir():
            sys.exit(f'--source {source}: {folder or "no folder"} is not a folder')
        folders[name] = Path(folder)
    lines = table(callers(folders, operators), operators)
    if args.write:
        write_between(PAGE, BEGIN, END, '\n'.join(['', *lines, '']))
    else:
        print('\n'.join(lines))


if __name__ == '__main__':
    main()
