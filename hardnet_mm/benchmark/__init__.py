"""Measures models side by side, for tools/analysis_tools/benchmark.py."""
