"""A config written as a person would write it: a line each as long as it fits."""

WIDTH = 100


def config_text(base, settings):
    """Return a config file's text.

    Args:
        base (str): Its ``_base_``.
        settings (dict): Its other variables, of dicts, lists, tuples and plain values.
    """
    lines = [f'_base_ = {base!r}', '']
    lines += [f'{key} = {value_text(value, len(key) + 3)}' for key, value in settings.items()]
    return '\n'.join(lines) + '\n'


class Name(str):
    """A name within a config's Python, which stands in place of a value."""

    def __repr__(self):
        return str(self)


def value_text(value, start, indent=0):
    """Return Python for a value that begins at a column of a line, itself indented."""
    return _value(value, start, indent)


def _value(value, start, indent):
    """Return Python for a value that begins at a column, its closing bracket at ``indent``."""
    if isinstance(value, dict) and all(str(key).isidentifier() for key in value):
        brackets, parts = ('dict(', ')'), [(f'{key}=', item) for key, item in value.items()]
    elif isinstance(value, dict):
        brackets, parts = '{}', [(f'{key!r}: ', item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        brackets, parts = '[]' if isinstance(value, list) else '()', [('', v) for v in value]
    else:
        return repr(value)
    inside = ', '.join(name + _value(item, 0, -WIDTH) for name, item in parts)
    if isinstance(value, tuple) and len(value) == 1:
        inside += ','
    line = brackets[0] + inside + brackets[1]
    if start + len(line) < WIDTH or not parts:
        return line
    inner = ' ' * (indent + 4)
    lines = [
        f'{inner}{name}{_value(item, len(inner) + len(name), indent + 4)},' for name, item in parts
    ]
    return '\n'.join([brackets[0], *lines, ' ' * indent + brackets[1]])
