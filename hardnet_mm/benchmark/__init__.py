"""What tools/analysis_tools/benchmark.py does: models from configs, measured side by side."""

from .. import needs_mm  # noqa: F401, says what to install
