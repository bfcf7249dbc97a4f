"""What mmcv tells of its compiler, in the toolboxes' reports of an environment."""

from .operator import operator

COMPUTED_BY = 'a word'


@operator(COMPUTED_BY, 'its type')
def get_compiler_version():
    """Return the compiler's name."""
    return 'none: hardnet_mm computes the operators'


@operator(COMPUTED_BY, 'its type')
def get_compiling_cuda_version():
    """Return what mmcv compiled without CUDA does."""
    return 'not available'
