"""mmcv's information on its compiler, for the toolboxes' reports of an environment."""

from .operator import operator

USING = 'a word'


@operator(USING, 'its type')
def get_compiler_version():
    """Return the compiler's name."""
    return 'none: hardnet_mm computes the operators'


@operator(USING, 'its type')
def get_compiling_cuda_version():
    """Return the same string as an mmcv that was compiled without CUDA."""
    return 'not available'
