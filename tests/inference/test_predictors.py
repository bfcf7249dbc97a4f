from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.datasets import CocoDataset
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from hardnet_mm.inference.predictors import Segmentor, coco_ids


def test_categories_are_cocos_own():
    """By the names of mmdet's data set, which differ from those of its get_classes."""
    ids = dict(zip(CocoDataset.METAINFO['classes'], coco_ids(CocoDataset.METAINFO['classes'])))
    assert len(ids) == 80
    assert (ids['person'], ids['traffic light'], ids['stop sign']) == (1, 10, 13)
    assert (ids['hair drier'], ids['toothbrush']) == (89, 90)
    assert coco_ids(['a', 'person']) == [1, 2]


class Chosen(Segmentor):
    def make_inferencer(self):
        return SimpleNamespace()


@pytest.mark.parametrize('count, kind', [(255, np.uint8), (256, np.uint16), (300, np.uint16)])
def test_no_class_is_taken_for_what_is_left_out(count, kind):
    model = SimpleNamespace(classes=list(map(str, range(count))), network=None)
    predictor = Chosen(model, classes=['0', '254'])
    labels = torch.tensor([[[0, 3, 254, count - 1]]])
    sample = predictor.keep(SegDataSample(pred_sem_seg=PixelData(data=labels)))
    left_out = np.iinfo(kind).max
    last = 254 if count == 255 else left_out
    found = predictor.label_map(sample)
    assert found.dtype == kind and found.tolist() == [[0, left_out, 254, last]]
    rows = dict(predictor.rows(sample))
    assert rows.keys() == {'0', '254'}
