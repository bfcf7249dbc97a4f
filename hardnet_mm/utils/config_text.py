"""Formats a config as a person would: a value on one line if it fits, else an item a line."""

WIDTH = 100


def config_text(base, settings):
    """Return a config file's text.

    Args:
        base (str): Path or name of the config to inherit from, its ``_base_``.
        settings (dict): The other variables: dicts, lists, tuples and plain values.

    Returns:
        str: Python text, lines of at most 100 characters where no single value is longer.

    Examples:
        >>> print(config_text('retinanet.py', dict(model=dict(neck=dict(in_channels=[128, 320])))))
        _base_ = 'retinanet.py'
        <BLANKLINE>
        model = dict(neck=dict(in_channels=[128, 320]))
        <BLANKLINE>
    """
    lines = [f'_base_ = {base!r}', '']
    lines += [f'{key} = {value_text(value, len(key) + 3)}' for key, value in settings.items()]
    return '\n'.join(lines) + '\n'


class Name(str):
    """A name within a config's Python, which stands in place of a value."""

    def __repr__(self):
        return str(self)


def value_text(value, start, indent=0):
    """Return a value as Python text.

    Args:
        value: The value.
        start (int): Column at which the text begins.
        indent (int): Column of the closing bracket where the text takes several lines. Defaults to
            0.
    """
    if isinstance(value, dict) and all(str(key).isidentifier() for key in value):
        brackets, parts = ('dict(', ')'), [(f'{key}=', item) for key, item in value.items()]
    elif isinstance(value, dict):
        brackets, parts = '{}', [(f'{key!r}: ', item) for key, item in value.items()]
    elif isinstance(value, (list, tuple)):
        brackets, parts = '[]' if isinstance(value, list) else '()', [('', v) for v in value]
    else:
        return repr(value)
    inside = ', '.join(name + value_text(item, 0, -WIDTH) for name, item in parts)
    if isinstance(value, tuple) and len(value) == 1:
        inside += ','
    line = brackets[0] + inside + brackets[1]
    if start + len(line) < WIDTH or not parts:
        return line
    inner = ' ' * (indent + 4)
    lines = [
        f'{inner}{name}{value_text(item, len(inner) + len(name), indent + 4)},'
        for name, item in parts
    ]
    return '\n'.join([brackets[0], *lines, ' ' * indent + brackets[1]])
