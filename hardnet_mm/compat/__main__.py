"""Put mmcv's operators in place for every program of this environment, or take them away.

The toolboxes' own scripts need them where mmcv was installed without compiled operators. Compiled
ones are used wherever there are any.
"""

import argparse
import sys

from ..utils.errors import InputError
from . import environment

ACTIONS = dict(install=environment.install, remove=environment.remove, status=environment.status)


def main():
    """Do what the command line says."""
    parser = argparse.ArgumentParser('python -m hardnet_mm.compat', description=__doc__)
    parser.add_argument('action', choices=ACTIONS)
    try:
        print(ACTIONS[parser.parse_args().action]())
    except InputError as error:
        sys.exit(str(error))


if __name__ == '__main__':
    main()
