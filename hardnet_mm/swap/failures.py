"""What the user is told of a new model that fails."""

from .places import reach
from .report import entry, numbers, old_widths, short

LONGEST = 300  # characters of an error's message


def explain_failure(swap, new, error, old_error=None):
    """Return a message about a new model that cannot be built or run.

    Args:
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.
        new (Config): The new config.
        error (Exception): The error.
        old_error (Exception, optional): Another error, of the old model. Defaults to None: it runs.
    """
    words = f'with HarDNet the model fails: {_words(error)}{_left(swap, new)}'
    if old_error is not None:
        words += f'. The old model fails, too, in another way: {_words(old_error)}'
    return (
        f'{words}. With --no-trial the config is written, and you can correct it in a config that '
        'inherits from it'
    )


def explain_broken(error):
    """Return a message about an error that already the old model has when it is built."""
    words = f'neither the old model nor the new one can be built here: {_words(error)}'
    if isinstance(error, KeyError) and 'registry' in str(error):
        words += (
            ". If only the project's own script imports its classes, name the modules by --imports"
        )
    return words


def explain_untried(swap, new, error):
    """Return a message about a new model that fails in the same way as the old one.

    Args:
        swap (Swap): The plan, from :func:`hardnet_mm.swap.backbone.plan_swap`.
        new (Config): The new config.
        error (Exception): The error of both.
    """
    return (
        'the new model was built, but not run. On the random images of this command the old model '
        f'fails in the same way: {_words(error)}{_left(swap, new)}. Check that the first training '
        'steps run'
    )


def _words(error):
    words = ' '.join(str(error).split())
    words = words if len(words) <= LONGEST else f'{words[:LONGEST]}...'
    return ': '.join(filter(None, (type(error).__name__, words.removesuffix('.'))))


def _left(swap, new):
    """Return in words which arguments of a new config may still mean the old channels, or ''."""
    rewired = reach(swap.differences['model'], swap.keys[:-1])
    left = [
        (path, value, news)
        for path, value, news in old_widths(reach(new.model, swap.keys[:-1]), swap)
        if entry(rewired, path) is None
    ]
    places = '; '.join(
        f'model.{".".join((*swap.keys[:-1], *path))} = {short(value)}' for path, value, _ in left
    )
    if not places:
        return ''
    return (
        f'. The old backbone has {numbers(swap.old.channels)} channels, HarDNet has '
        f'{numbers(swap.hardnet.channels)}; one of these may still mean the old ones: {places}'
    )
