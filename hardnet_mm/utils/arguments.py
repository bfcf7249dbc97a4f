"""Arguments that come from a config, compared with the annotations of who takes them."""

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
    """Let an ``__init__`` refuse arguments that are of other types than it is annotated with.

    A config's wrong value would end somewhere within, in an error that does not name it, or would
    be taken for what it is not. A tuple and a list are alike, as configs have them, and 0 and 1 are
    bools. What an annotation says beyond that, as ``Any``, is not looked at.

    Raises:
        InputError: From the ``__init__``, with the name of the argument, and what it must be.
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
    """Tell whether a value is of an annotation's type, as far as that can be told."""
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
    """Tell the same of a container; a list and a tuple, in which a config has it, are alike."""
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
    """Return an annotation as it is written."""
    if isinstance(hint, type) and not typing.get_origin(hint):
        return 'None' if hint is type(None) else hint.__name__
    text = str(hint).replace('typing.', '').replace('collections.abc.', '')
    return text.replace('NoneType', 'None')
