"""Checks arguments from a config against the annotations of the class that takes them."""

import collections.abc
import functools
import inspect
import math
import types
import typing
from numbers import Integral, Real

from .errors import InputError

SIMPLE = {int: Integral, float: Real}


def typed(init):
    """Decorate an ``__init__`` so that it refuses arguments whose type differs from the annotation.

    Without it, a wrong value in a config would raise an error somewhere else that does not name the
    argument, or would be misinterpreted. Tuples and lists are interchangeable, as in configs, and 0
    and 1 count as bools. Other annotations, such as ``Any``, are not checked.

    Raises:
        InputError: By the ``__init__``. The message names the argument and the allowed type.
    """
    signature = inspect.signature(init)

    @functools.wraps(init)
    def checked(self, *args, **kwargs):
        hints = typing.get_type_hints(init)
        try:
            given = signature.bind(self, *args, **kwargs).arguments
        except TypeError:  # a name that it does not take: Python's words are clear
            return init(self, *args, **kwargs)
        for name, value in given.items():
            kind = signature.parameters[name].kind
            if name in hints and kind not in (kind.VAR_KEYWORD, kind.VAR_POSITIONAL):
                default = signature.parameters[name].default
                if value is not default and not is_of(value, hints[name]):
                    raise InputError(
                        f'{name} of {type(self).__name__} must be {_written(hints[name])}, '
                        f'got {value!r}'
                    )
        return init(self, *args, **kwargs)

    return checked


def is_of(value, hint):
    """Return whether a value has an annotation's type; True for unchecked annotations."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is typing.Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(is_of(value, part) for part in inner)
    if hint is bool:
        return isinstance(value, bool) or (isinstance(value, Integral) and value in (0, 1))
    if hint in SIMPLE:
        is_number = isinstance(value, SIMPLE[hint]) and not isinstance(value, bool)
        return is_number and not (isinstance(value, Real) and math.isnan(value))
    if origin is not None:
        return _is_of_generic(value, origin, inner)
    return not isinstance(hint, type) or isinstance(value, hint)


def _is_of_generic(value, origin, inner):
    """Return the same for a container. Lists and tuples are interchangeable."""
    if origin in (list, tuple, collections.abc.Sequence):
        if not isinstance(value, collections.abc.Sequence) or isinstance(value, (str, bytes)):
            return False
        if origin is tuple and Ellipsis not in inner:
            return len(value) == len(inner) and all(map(is_of, value, inner))
        return all(is_of(part, inner[0]) for part in value)
    if origin is typing.Literal:
        return value in inner
    return not isinstance(origin, type) or isinstance(value, origin)


def _written(hint):
    """Return an annotation as source text."""
    if isinstance(hint, type) and not typing.get_origin(hint):
        return 'None' if hint is type(None) else hint.__name__
    text = str(hint).replace('typing.', '').replace('collections.abc.', '')
    return text.replace('NoneType', 'None')
