"""What tools/analysis_tools/benchmark.py does: models from configs, measured side by side."""
