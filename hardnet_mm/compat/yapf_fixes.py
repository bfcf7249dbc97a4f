"""Lets several processes share yapf's cache; mmengine formats configs by yapf."""

import pickle

from ..utils.files import written_whole
from .when_imported import when_imported

GRAMMAR = 'yapf_third_party._ylib2to3.pgen2.grammar'


def share_cache():
    """Let yapf write the files of its cache atomically.

    It renames them to their place before their content is flushed. A process that reads one at this
    moment ends with "Ran out of input": another rank of a training, at the first run after yapf was
    installed.
    """
    when_imported(GRAMMAR, _dump_whole)


def _dump_whole(module):
    def dump(self, filename):
        """Dump the tables of a grammar to a file."""
        with written_whole(filename) as new:
            new.write_bytes(pickle.dumps(self.__dict__, pickle.HIGHEST_PROTOCOL))

    module.Grammar.dump = dump
