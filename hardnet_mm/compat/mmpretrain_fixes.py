"""What keeps mmpretrain from being imported."""

import importlib.util
import warnings
from pathlib import Path

from .when_imported import when_imported

DEPENDENCY = 'mmpretrain.utils.dependency'
# What mmpretrain's language models take from transformers.pytorch_utils.
TAKEN = 'apply_chunking_to_forward', 'find_pruneable_heads_and_indices', 'prune_linear_layer'


def leave_out_multimodal_models():
    """Let mmpretrain do without its multimodal models where they cannot be imported.

    It takes any transformers from 4.28 on for one that has what they need. Version 5 has not, and
    there ``import mmpretrain.models`` ends in a TypeError.
    """
    when_imported(DEPENDENCY, _check_transformers)


def _check_transformers(module):
    missing = getattr(module, 'WITH_MULTIMODAL', False) and missing_names()
    if missing:
        module.WITH_MULTIMODAL = False
        warnings.warn(
            "mmpretrain's multimodal models are left out: the transformers that is installed has "
            f'no {", ".join(missing)}. Whoever needs them installs one before 5.0.',
            stacklevel=2,
        )


def missing_names():
    """Return what transformers lacks, by its source: importing it takes seconds."""
    found = importlib.util.find_spec('transformers')
    for folder in found and found.submodule_search_locations or ():
        file = Path(folder, 'pytorch_utils.py')
        if file.is_file():
            text = file.read_text(encoding='utf-8')
            return [name for name in TAKEN if name not in text]
    return []
