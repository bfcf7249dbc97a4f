"""Files for other runtimes: end-to-end models, quantisation, formats, and the comparison."""

from .. import needs_mm  # noqa: F401, says what to install
