"""Install mmcv's operators for all programs of this environment, or remove them.

The toolboxes' own scripts need them if mmcv was installed without compiled operators. If mmcv has
compiled operators, those are used.
"""

import argparse
import sys

from ..utils.errors import InputError
from . import environment

ACTIONS = dict(install=environment.install, remove=environment.remove, status=environment.status)


def main():
    """Run the command."""
    parser = argparse.ArgumentParser('python -m hardnet_mm.compat', description=__doc__)
    parser.add_argument('action', choices=ACTIONS)
    try:
        print(ACTIONS[parser.parse_args().action]())
    except InputError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
