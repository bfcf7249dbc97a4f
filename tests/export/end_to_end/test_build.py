"""What is made an end-to-end model, and what is refused."""

import pytest

from hardnet_mm import HarDNet
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.utils.configs import build_model, read_config


def test_other_models_are_refused(root):
    with pytest.raises(ValueError, match='HarDNet cannot be exported here: allowed are'):
        build_end_to_end(HarDNet('hardnet39ds'))
    cfg = read_config(str(root / 'configs/toolbox_models/faster-rcnn_hardnet68_fpn_1x_coco.py'))
    with pytest.raises(ValueError, match='FasterRCNN cannot be .*export_other_detectors.md says'):
        build_end_to_end(build_model(cfg))


@pytest.mark.parametrize(
    'name', ['gfl/gfl_r50_fpn_1x_coco', 'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance']
)
def test_heads_that_decode_in_their_own_way_are_refused(name):
    model = build_model(read_config(f'mmdet::{name}.py'))
    with pytest.raises(ValueError, match=f'with a {type(model.bbox_head).__name__} cannot be'):
        build_end_to_end(model)
