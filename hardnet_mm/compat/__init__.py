"""Everything that importing hardnet_mm changes elsewhere, in one list.

- mmcv without its compiled operators gets stand-ins for them: :mod:`.mmcv_operators`.
- mmdet's SSDHead predicts: :mod:`.mmdet_fixes`.
- mmpretrain does without its multimodal models where transformers lacks what they import, as
  version 5 does: :mod:`.mmpretrain_fixes`.
- mmengine reads its own checkpoints on PyTorch 2.6 and newer, and finds mmseg's configs by name in
  the toolbox's maintained continuation: :mod:`.mmengine_fixes`.
- mmengine and the toolboxes find the configs and models of this plugin by name: :mod:`.model_hub`.
- mmengine loads ``hardnet://NAME``, and files of the original programs:
  :mod:`hardnet_mm.checkpoints.loaders`.

What an installed stack has itself is left alone.
"""

from .. import needs_mm  # noqa: F401, says what to install
from ..checkpoints import loaders
from . import mmcv_operators, mmdet_fixes, mmengine_fixes, mmpretrain_fixes, model_hub


def apply():
    """Change everything named above; calling it again changes nothing."""
    mmcv_operators.install()
    mmdet_fixes.let_ssd_predict()
    mmpretrain_fixes.leave_out_multimodal_models()
    mmengine_fixes.allow_checkpoint_types()
    mmengine_fixes.name_package_of_mmseg()
    model_hub.register_names()
    loaders.register_schemes()
