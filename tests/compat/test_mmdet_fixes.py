"""What mmdet lacks, whenever mmdet is imported."""

import importlib
import sys

from mmengine.registry import DefaultScope
from torch import nn

from hardnet_mm.compat.when_imported import when_imported


def test_an_ssd_head_has_no_loss_unless_it_is_given_one():
    from mmdet.models.dense_heads import SSDHead

    class WithLoss(SSDHead):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.loss_cls = nn.Identity()

    anchors = dict(type='AnchorGenerator', strides=[8], ratios=[1.0], scales=[8])
    settings = dict(in_channels=(4,), anchor_generator=anchors)
    with DefaultScope.overwrite_default_scope('mmdet'):
        assert SSDHead(**settings).loss_cls is None
        assert isinstance(WithLoss(**settings).loss_cls, nn.Identity)


def test_annotations_of_no_file():
    """As pycocotools has them, to be filled by hand."""
    from mmdet.datasets import CocoDataset

    assert CocoDataset.COCOAPI().dataset == {}


def test_changes_are_made_once_when_a_module_is_imported(tmp_path, monkeypatch):
    (tmp_path / 'imported_later.py').write_text('value = 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    seen = []

    def first(module):
        seen.append(('first', module.value))

    def second(module):
        seen.append(('second', module.value))

    for change in (first, second, first):
        when_imported('imported_later', change)
    assert not seen
    module = importlib.import_module('imported_later')
    assert seen == [('first', 1), ('second', 1)]
    when_imported('imported_later', first)
    assert seen[2:] == [('first', 1)]
    del sys.modules[module.__name__]
