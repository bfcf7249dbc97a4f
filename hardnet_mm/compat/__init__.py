"""The complete list of what importing hardnet_mm changes in other packages.

- mmcv without compiled operators gets stand-ins for them: :mod:`.mmcv_operators`.
- mmdet's SSDHead predicts, and its CocoDataset checks its annotations: :mod:`.mmdet_fixes`.
- mmcv names an image or a mask that it cannot decode: :mod:`.mmcv_fixes`.
- mmpretrain is imported without its multimodal models if transformers lacks names that they import,
  as version 5 does: :mod:`.mmpretrain_fixes`.
- mmengine reads its own checkpoints on PyTorch 2.6 and newer, never runs code in a checkpoint, and
  finds mmseg's configs by name in the toolbox's maintained continuation: :mod:`.mmengine_fixes`.
- mmengine finds a toolbox's config by its path, without reading all metafiles of the toolbox:
  :mod:`.mmengine_fixes`.
- mmengine writes checkpoints atomically, removes an old one only after the new one is saved, and
  raises a clear error for a data set without images: :mod:`.mmengine_fixes`.
- yapf, by which mmengine formats configs, writes its cache atomically: :mod:`.yapf_fixes`.
- mmengine and the toolboxes find the configs and models of this plugin by name: :mod:`.model_hub`.
- mmengine loads ``hardnet://NAME``, and files of the original programs:
  :mod:`hardnet_mm.checkpoints.loaders`.

A change is left out if the installed version does not need it.
"""

from .. import needs_mm  # noqa: F401, says what to install
from ..checkpoints import loaders
from . import (
    mmcv_fixes,
    mmcv_operators,
    mmdet_fixes,
    mmengine_fixes,
    mmpretrain_fixes,
    model_hub,
    yapf_fixes,
)


def apply():
    """Make all changes of the list above. A second call has no effect."""
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
    yapf_fixes.share_cache()
    model_hub.register_names()
    loaders.register_schemes()
