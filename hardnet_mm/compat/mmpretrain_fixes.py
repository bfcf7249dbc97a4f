"""Makes mmpretrain importable with recent versions of transformers."""

import importlib.util
import warnings
from pathlib import Path

from .when_imported import when_imported

DEPENDENCY = 'mmpretrain.utils.dependency'
# The names that mmpretrain's language models import from transformers.pytorch_utils.
TAKEN = 'apply_chunking_to_forward', 'find_pruneable_heads_and_indices', 'prune_linear_layer'


def leave_out_multimodal_models():
    """Let mmpretrain skip its multimodal models if they cannot be imported.

    mmpretrain expects that transformers 4.28 and every newer version has the names that it imports.
    Version 5 does not, and ``import mmpretrain.models`` then raises a TypeError.
    """
    when_imported(DEPENDENCY, check_transformers)


def check_transformers(module):
    """Turn mmpretrain's multimodal models off, with a warning, if transformers lacks names.

    Args:
        module (module): mmpretrain's module of flags, with ``WITH_MULTIMODAL``.
    """
    missing = getattr(module, 'WITH_MULTIMODAL', False) and missing_names()
    if missing:
        module.WITH_MULTIMODAL = False
        warnings.warn(
            "mmpretrain's multimodal models are left out: the transformers that is installed has "
            f'no {", ".join(missing)}. To use them, install a transformers before 5.0.',
            stacklevel=2,
        )


def missing_names():
    """Return the names that transformers lacks, read from its source: an import takes seconds."""
    found = importlib.util.find_spec('transformers')
    for folder in found and found.submodule_search_locations or ():
        file = Path(folder, 'pytorch_utils.py')
        if file.is_file():
            text = file.read_text(encoding='utf-8')
            return [name for name in TAKEN if name not in text]
    return []
