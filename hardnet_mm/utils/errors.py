"""The error for wrong input, as opposed to a bug."""


class InputError(ValueError):
    """A config, a checkpoint, data or an argument is wrong.

    The message says what is wrong, why, and what is allowed. The tools print it in one line,
    without a traceback.
    """
