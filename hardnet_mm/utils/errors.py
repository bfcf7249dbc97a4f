"""The error of a person, told apart from that of a program."""


class InputError(ValueError):
    """What was given cannot be right: a config, a checkpoint, data, an argument.

    Its message says what, why, and what would be. The tools print it in one line, without the
    traceback that a bug leaves.
    """
