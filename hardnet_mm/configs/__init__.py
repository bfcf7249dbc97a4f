"""The reference models' configs in mmengine's pure-Python style."""
