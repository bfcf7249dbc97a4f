"""Everything that importing hardnet_mm changes elsewhere, in one list.

- mmcv without its compiled operators gets stand-ins for them: :mod:`.mmcv_operators`.
- mmdet's SSDHead predicts, its CocoDataset checks its annotations: :mod:`.mmdet_fixes`.
- mmcv's LoadImageFromFile names the file that it cannot read: :mod:`.mmcv_fixes`.
- mmpretrain does without its multimodal models where transformers lacks what they import, as
  version 5 does: :mod:`.mmpretrain_fixes`.
- mmengine reads its own checkpoints on PyTorch 2.6 and newer, runs no code that a checkpoint holds
  on any, and finds mmseg's configs by name in the toolbox's maintained continuation:
  :mod:`.mmengine_fixes`.
- mmengine finds a toolbox's config by its path, without reading the toolbox's metafiles for each:
  :mod:`.mmengine_fixes`.
- mmengine's files are written whole, a checkpoint before the one it replaces is removed, and a data
  set without images says so: :mod:`.mmengine_fixes`.
- mmengine and the toolboxes find the configs and models of this plugin by name: :mod:`.model_hub`.
- mmengine loads ``hardnet://NAME``, and files of the original programs:
  :mod:`hardnet_mm.checkpoints.loaders`.

What an installed stack has itself is left alone.
"""

from .. import needs_mm  # noqa: F401, says what to install
from ..checkpoints import loaders
from . import mmcv_fixes, mmcv_operators, mmdet_fixes, mmengine_fixes, mmpretrain_fixes, model_hub


def apply():
    """Change everything named above; calling it again changes nothing."""
    mmcv_operators.install()
    mmcv_fixes.name_unreadable_images()
    mmdet_fixes.let_ssd_predict()
    mmdet_fixes.check_coco_annotations()
    mmpretrain_fixes.leave_out_multimodal_models()
    mmengine_fixes.allow_checkpoint_types()
    mmengine_fixes.read_weights_only()
    mmengine_fixes.save_whole_checkpoints()
    mmengine_fixes.refuse_empty_data_sets()
    mmengine_fixes.name_package_of_mmseg()
    mmengine_fixes.find_bases_by_path()
    model_hub.register_names()
    loaders.register_schemes()
