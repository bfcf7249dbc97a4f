"""Export to other runtimes: end-to-end models, formats, quantisation, comparison with PyTorch."""

from .. import needs_mm  # noqa: F401, says what to install
