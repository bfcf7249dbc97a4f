"""Docstrings name code by Sphinx's roles, as :func:`to_deploy`; the site links what it shows."""

import re

import griffe

ROLE = re.compile(r':(?:attr|class|data|exc|func|meth|mod):`(~?)([\w.]+)`')


class Roles(griffe.Extension):
    """Turn roles into links of mkdocs-autorefs, which are plain code where there is no target."""

    def on_package(self, *, pkg, **_):
        """Rewrite every docstring of a package that griffe has read."""
        for obj in walk(pkg):
            if obj.docstring is not None:
                text = obj.docstring.value
                obj.docstring.value = ROLE.sub(lambda role: link(obj, *role.groups()), text)  # noqa: B023


def walk(obj):
    """Yield an object and all that are defined in it."""
    yield obj
    for member in obj.members.values():
        if not member.is_alias:
            yield from walk(member)


def link(obj, tilde, name):
    """Return the link to a name of an object's docstring; after ``~`` its last part is shown."""
    shown = name.rpartition('.')[2] if tilde else name.removeprefix('.')
    return f'<autoref optional identifier="{full_path(obj, name)}"><code>{shown}</code></autoref>'


def full_path(obj, name):
    """Return the path of a name as the object's code would resolve it, or the name."""
    if name.startswith('.'):
        return obj.module.path + name
    first, dot, rest = name.partition('.')
    try:
        return obj.resolve(first) + dot + rest
    except griffe.NameResolutionError:
        return name
