"""Changes to mmdet: SSDHead can predict, and errors in annotations name the file."""

import functools

from ..utils.coco import check_annotations
from ..utils.errors import InputError
from ..utils.files import refuse_special_file
from .when_imported import when_imported

COCO_DATASET = 'mmdet.datasets.coco'
SSD_HEAD = 'mmdet.models.dense_heads.ssd_head'
UNREADABLE = (
    *(InputError, ValueError, TypeError, LookupError, AttributeError, AssertionError),
    *(RecursionError, MemoryError, OverflowError),  # lists in lists, and too much of anything
)


def let_ssd_predict():
    """Let mmdet's SSDHead predict, which raises an AttributeError in mmdet 3.0 to 3.3 and later.

    The prediction code reads an attribute of ``loss_cls``, which SSDHead does not have.
    """
    when_imported(SSD_HEAD, _name_loss_of_ssd)


def _name_loss_of_ssd(module):
    if not hasattr(module.SSDHead, 'loss_cls'):
        module.SSDHead.loss_cls = _Loss()


def check_coco_annotations():
    """Let mmdet's CocoDataset check its annotations, and name the file in errors.

    Without this it accepts boxes that are NaN, and the last of several images with the same id. Its
    errors do not name the file.
    """
    when_imported(COCO_DATASET, _check_annotations)


def _check_annotations(module):
    reader = module.CocoDataset.COCOAPI
    if hasattr(reader, 'checked'):
        return

    class CheckedCOCO(reader):
        """A ``COCO`` that checks its annotations."""

        checked = True

        def __init__(self, annotation_file=None):
            refuse_special_file(annotation_file)
            try:
                super().__init__(annotation_file)
            except UNREADABLE as error:
                raise InputError(
                    f'{annotation_file} holds no annotations as COCO has them: '
                    f'{str(error) or type(error).__name__}'
                ) from error

        @functools.wraps(reader.createIndex)
        def createIndex(self):  # noqa: N802, its name
            check_annotations(self.dataset)
            super().createIndex()

    module.CocoDataset.COCOAPI = CheckedCOCO


class _Loss:
    """Descriptor of ``loss_cls`` that is None by default, without hiding a subclass's own loss."""

    def __get__(self, head, owner=None):
        return None if head is None else head._modules.get('loss_cls')
