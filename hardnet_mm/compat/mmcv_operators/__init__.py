"""A stand-in for mmcv's compiled operators, ``mmcv._ext``, if mmcv was installed without them.

:data:`OPERATORS` has the operators that configs of mmdet, mmseg, mmpretrain or mmrotate use
(``tools/analysis_tools/list_operators.py`` finds them). They take the same arguments as compiled
ones, on any device. All other names exist too, so that mmcv.ops can be imported, but raise an error
when called. torchvision takes seconds to import, and is therefore imported when first needed.
"""

import importlib.machinery
import importlib.util
import sys
import types

from . import (  # noqa: F401, each enters its operators
    active_rotated_filter,
    bbox_overlaps,
    border_align,
    carafe,
    chamfer_distance,
    convex_iou,
    deform_conv,
    deform_roi_pool,
    diff_iou_rotated,
    focal_loss,
    info,
    masked_conv,
    min_area_polygons,
    ms_deform_attn,
    nms,
    points_in_polygons,
    psa_mask,
    roi_align,
    roi_align_rotated,
    roi_pool,
    rotated,
    rotated_feature_align,
    sync_bn,
)
from .operator import OPERATORS, Operator

__all__ = ['OPERATORS', 'Operator', 'install', 'make_extension', 'missing_operator']


def install():
    """Install the stand-in, if mmcv has no compiled operators."""
    if not importlib.util.find_spec('mmcv._ext') and importlib.util.find_spec('torchvision'):
        sys.modules['mmcv._ext'] = make_extension()


def make_extension():
    """Return the stand-in module, with the name and spec by which mmcv and mmengine find it."""
    extension = types.ModuleType('mmcv._ext', __doc__)
    extension.__spec__ = importlib.machinery.ModuleSpec('mmcv._ext', loader=None)
    extension.__getattr__ = missing_operator
    for name, operator in OPERATORS.items():
        setattr(extension, name, operator.function)
    return extension


def missing_operator(name):
    """Module ``__getattr__``: return a function whose error says how to get the operator."""
    if name.startswith('__'):
        raise AttributeError(name)

    def operator(*args, **kwargs):
        raise NotImplementedError(
            f"mmcv's operator '{name}' is compiled, and this mmcv was installed without compiled "
            'operators: install mmcv from a wheel or a source build that has them '
            "(MMCV_WITH_OPS=1 pip install --no-build-isolation 'mmcv==2.1.0'; "
            'https://mmcv.readthedocs.io/en/latest/get_started/installation.html)'
        )

    return operator
