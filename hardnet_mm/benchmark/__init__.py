"""Measures models side by side, for tools/analysis_tools/benchmark.py."""

from .. import needs_mm  # noqa: F401, says what to install
