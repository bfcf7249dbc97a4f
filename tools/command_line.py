"""Arguments, first checks and error reports that the tools' command lines share.

Nothing that takes long is imported here. The tools import the rest once the arguments are known to
be valid, so that neither --help nor a mistake takes seconds.
"""

import argparse
import importlib
import importlib.util
import os
import re
import signal
import sys
import traceback
from pathlib import Path

# Errors of a class whose arguments in a config are wrong.
BUILD_ERRORS = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError)
TRACEBACK_VARIABLE = 'HARDNET_TRACEBACK'


class Settings(argparse.Action):
    """mmengine's DictAction, imported only when it is used."""

    def __call__(self, parser, namespace, values, option_string=None):
        """Store the key=value pairs as a dict in the namespace."""
        wrong = [value for value in values if '=' not in value]
        if wrong:
            parser.error(f'{option_string} takes key=value pairs, got {wrong[0]}')
        importlib.import_module('hardnet_mm.needs_mm')  # first: it says how to install the rest
        from mmengine.config import DictAction

        DictAction(self.option_strings, self.dest)(parser, namespace, values, option_string)


def make_parser(description):
    """Return a parser whose help also says how to see the traceback of an error."""
    return argparse.ArgumentParser(
        description=description,
        epilog=f'{TRACEBACK_VARIABLE}=1 in the environment shows the traceback of an error',
    )


def add_common_arguments(parser):
    """Add the arguments that every OpenMMLab toolbox's train.py and test.py know."""
    parser.add_argument('--work-dir', type=user_path, help='the dir to save logs, models, metrics')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=Settings,
        help='override settings of the config: key=value pairs, nested keys with dots, lists as '
        'key="[a,b]" or key=a,b, without white space',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='job launcher',
    )
    # torchrun passes LOCAL_RANK in the environment, torch.distributed.launch this argument
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0)


def user_path(text):
    """Return a path of the command line with ``~`` expanded, which a shell skips in quotes."""
    return os.path.expanduser(text)


def expanded_path(text):
    """Return :func:`user_path` as a Path."""
    return Path(user_path(text))


def positive(text):
    """Return an integer of at least 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {number}')
    return number


def fraction(text):
    """Return a number between 0 and 1."""
    number = float(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f'must be between 0 and 1, got {text}')
    return number


def import_light(name):
    """Import one module of hardnet_mm alone, without the package, which takes seconds.

    The module must not import others of hardnet_mm.
    """
    package = importlib.util.find_spec('hardnet_mm')
    if package is None:
        raise ImportError('hardnet_mm is not installed: pip install it first', name='hardnet_mm')
    path = Path(package.origin).parent.joinpath(*name.split('.')).with_suffix('.py')
    spec = importlib.util.spec_from_file_location(name.rpartition('.')[2], path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_file(parser, kind, path):
    """Refuse a missing file. Names (``::``) and addresses (``://``) are checked elsewhere."""
    if '::' in path or '://' in path or os.path.isfile(path):
        return
    parser.error(f'there is no {kind} {path}')


def check_new_file(parser, option, path, overwrite=False, suffixes=('',)):
    """Refuse an output file that exists, or whose name has the wrong suffix.

    Args:
        parser (ArgumentParser): The parser, whose ``error`` reports.
        option (str): The option's name, for the message.
        path (str): The file to write.
        overwrite (bool, optional): The tool's --overwrite, None if the tool has no such option.
        suffixes (tuple[str]): Allowed suffixes. Defaults to any.
    """
    wanted = f'{option} must be a new file'
    if not path.endswith(suffixes):
        parser.error(f'{wanted} that ends in {" or ".join(suffixes)}, got {path}')
    if os.path.isdir(path):
        parser.error(f'{wanted}, and {path} is a folder')
    if os.path.exists(path) and not overwrite:
        way = '' if overwrite is None else ', or pass --overwrite'
        parser.error(f'{wanted}, and {path} is there already: choose another{way}')


def check_new_folder(parser, option, path):
    """Refuse an output folder that exists."""
    if os.path.lexists(path):
        parser.error(f'{option} {path} is there already: choose a new folder')


def run(parse_args, main, with_mm=True):
    """Parse a tool's arguments and call its main function with them.

    An error of the user's ends the tool with one line and status 2, Ctrl-C and SIGTERM with one
    line and the signal's status. ``with_mm`` is whether the tool needs mmcv and mmengine.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        args = parse_args()
        # first: its error says how to install the rest
        importlib.import_module('hardnet_mm.needs_mm' if with_mm else 'hardnet_mm')
        main(args)
    except KeyboardInterrupt as error:
        number = error.args[0] if error.args else signal.SIGINT
        sys.stdout.flush()
        print(f'{Path(sys.argv[0]).name}: stopped by {number.name}', file=sys.stderr)
        sys.exit(128 + number)
    except Exception as error:
        if os.environ.get(TRACEBACK_VARIABLE) or not is_of_user(error):
            raise
        sys.stdout.flush()
        print(f'{Path(sys.argv[0]).name}: error: {in_one_line(error)}', file=sys.stderr)
        sys.exit(2)


def _interrupt(number, _):
    """Unwind as Ctrl-C does, so that processes which load data are ended, too."""
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt(signal.Signals(number))


def is_of_user(error):
    """Return whether an error is about the user's input, rather than a bug of a program."""
    if isinstance(error, ImportError):  # a package that is not installed
        package = (error.name or '').partition('.')[0]
        return bool(package) and importlib.util.find_spec(package) is None
    if isinstance(error, KeyError) and 'registry' in str(error):
        return True  # a type of a config that nobody registered
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if isinstance(error, BUILD_ERRORS) and any(
        frame.f_code.co_name == 'build_from_cfg' for frame in frames
    ):
        return True  # a class refuses the arguments that a config gives it
    if isinstance(error, AssertionError):  # toolboxes check configs by assertions
        toolboxes = sys.modules.get('hardnet_mm.utils.toolboxes')
        return bool(toolboxes) and _package(error, frames) in toolboxes.PACKAGES
    if isinstance(error, OSError):  # about a file, or about anything with a message of its own
        return bool(error.filename) or error.errno is None
    errors = sys.modules.get('hardnet_mm.utils.errors')
    return bool(errors) and isinstance(error, errors.InputError)


def _package(error, frames):
    """Return the package where an error arose, in a process of a data loader, too."""
    if str(error).startswith('Caught '):
        files = re.findall(r'File ".*?([^/"]+)/[^"]*", line', str(error))
        inner = re.findall(r'site-packages/(\w+)/', str(error))
        return (inner or files or [''])[-1]
    return frames[-1].f_globals.get('__name__', '').partition('.')[0]


def in_one_line(error):
    """Return an error's message in one line."""
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f'{error.strerror}: {error.filename}'
    text = str(error.args[0]) if isinstance(error, KeyError) else str(error)
    if text.startswith('Caught '):  # from a data loader's worker: the message has a traceback
        text = re.split(r'^[\w.]+Error: ', text, flags=re.MULTILINE)[-1]
    if not text and isinstance(error, AssertionError):  # its condition says something
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = f'{Path(last.filename).name} has: {last.line}'
    return ' '.join(text.split())
