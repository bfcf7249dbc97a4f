"""Tables of what was measured on GPUs: a file for each compute capability."""

import functools
import json
from pathlib import Path

import torch

TABLES = Path(__file__).parent


@functools.cache
def read() -> dict:
    """Return the table for this kind of GPU; empty if there is none, or no GPU."""
    if not torch.cuda.is_available():
        return {}
    major, minor = torch.cuda.get_device_capability()
    path = TABLES / f'sm{major}{minor}.json'
    return json.loads(path.read_text()) if path.is_file() else {}
