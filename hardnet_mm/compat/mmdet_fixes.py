"""What mmdet's own detectors lack to run at all."""

from .when_imported import when_imported

SSD_HEAD = 'mmdet.models.dense_heads.ssd_head'


def let_ssd_predict():
    """Let mmdet's SSDHead predict, which ends in an AttributeError in mmdet 3.0 to 3.3 and later.

    Prediction asks ``loss_cls`` whether it makes scores in a way of its own, and SSDHead has none.
    """
    when_imported(SSD_HEAD, _name_loss_of_ssd)


def _name_loss_of_ssd(module):
    if not hasattr(module.SSDHead, 'loss_cls'):
        module.SSDHead.loss_cls = _Loss()


class _Loss:
    """The loss that a head was given, or None: a plain None would hide that of a subclass."""

    def __get__(self, head, owner=None):
        return None if head is None else head._modules.get('loss_cls')
