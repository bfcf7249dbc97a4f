"""Non-maximum suppression inside a file."""

import copy

import pytest
import torch

from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.end_to_end.nms import NonMaxSuppression


def test_ssd_settings_that_no_file_holds(models):
    model, _ = models('ssd_hardnet')
    for settings, message in [
        (dict(nms=dict(type='soft_nms')), "nms.type is 'soft_nms'.*model.test_cfg.nms.type=nms"),
        (dict(nms=None), 'nms.type is None'),
        (dict(nms=dict(class_agnostic=True)), r"without \['class_agnostic'\]"),
        (dict(nms=dict(max_num=5)), r"without \['max_num'\]"),
        (dict(min_bbox_size=4), 'min_bbox_size is 4 .*min_bbox_size=0'),
        (dict(score_thr=-1), 'score_thr must be at least 0'),
    ]:
        other = copy.deepcopy(model)
        if settings.get('nms', None):
            settings = dict(nms={**other.bbox_head.test_cfg.nms, **settings['nms']})
        other.bbox_head.test_cfg.update(settings)
        with pytest.raises(ValueError, match=message):
            build_end_to_end(other)


def test_suppression_is_by_class_and_image():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [50, 50, 60, 60]]).expand(2, -1, -1)
    scores = torch.tensor([[[0.9, 0.8, 0.01], [0.1, 0.5, 0.3]], [[0.3, 0.6, 0.7], [0, 0, 0]]])
    kept = NonMaxSuppression.forward(None, boxes, scores, 1, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [1, 0, 2]]
    kept = NonMaxSuppression.forward(None, boxes, scores, 5, 0.5, 0.05)
    assert kept.tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 2], [1, 0, 2], [1, 0, 1]]
