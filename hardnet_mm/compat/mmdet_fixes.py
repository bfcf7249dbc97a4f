"""What mmdet lacks: its SSD predicts, and annotations that are wrong are named."""

import functools

from ..utils.coco import check_annotations
from ..utils.errors import InputError
from .when_imported import when_imported

COCO_DATASET = 'mmdet.datasets.coco'
SSD_HEAD = 'mmdet.models.dense_heads.ssd_head'


def let_ssd_predict():
    """Let mmdet's SSDHead predict, which ends in an AttributeError in mmdet 3.0 to 3.3 and later.

    Prediction asks ``loss_cls`` whether it makes scores in a way of its own, and SSDHead has none.
    """
    when_imported(SSD_HEAD, _name_loss_of_ssd)


def _name_loss_of_ssd(module):
    if not hasattr(module.SSDHead, 'loss_cls'):
        module.SSDHead.loss_cls = _Loss()


def check_coco_annotations():
    """Let mmdet's CocoDataset check what it reads, and name the file where it is wrong.

    It takes boxes that are no numbers, keeps the last of two images with one id, and ends in errors
    that name no file.
    """
    when_imported(COCO_DATASET, _check_annotations)


def _check_annotations(module):
    reader = module.CocoDataset.COCOAPI
    if hasattr(reader, 'checked'):
        return

    class CheckedCOCO(reader):
        """COCO's annotations, checked."""

        checked = True

        def __init__(self, annotation_file=None):
            try:
                super().__init__(annotation_file)
            except (InputError, ValueError, TypeError, LookupError, AssertionError) as error:
                raise InputError(
                    f'{annotation_file} holds no annotations as COCO has them: {error}'
                ) from error

        @functools.wraps(reader.createIndex)
        def createIndex(self):  # noqa: N802, its name
            check_annotations(self.dataset)
            super().createIndex()

    module.CocoDataset.COCOAPI = CheckedCOCO


class _Loss:
    """The loss that a head was given, or None: a plain None would hide that of a subclass."""

    def __get__(self, head, owner=None):
        return None if head is None else head._modules.get('loss_cls')
