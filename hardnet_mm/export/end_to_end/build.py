"""Builds the end-to-end model of a model."""

from ...utils.errors import InputError
from .classifier import EndToEndClassifier
from .segmentor import EndToEndSegmentor


def build_end_to_end(model, inside='nms', classes=None):
    """Return a model as one function of the images.

    Args:
        model (nn.Module): A classifier of mmpretrain, a segmentor of mmseg, or a one-stage detector
            of mmdet. The detector's head must declare its maps and decode them, or predict as
            ``BaseDenseHead`` or ``YOLOXHead`` does.
        inside (str): As in :class:`EndToEndModel`. Defaults to 'nms'.
        classes (Sequence[str], optional): As in :class:`EndToEndModel`.

    Returns:
        EndToEndModel: The end-to-end model, which shares the model's weights.

    Raises:
        InputError: If the model is of another type, or its ``test_cfg`` has settings that a file
            cannot contain.
    """
    kind = _find_kind(model)
    if kind is None:
        head = getattr(model, 'bbox_head', None)
        name = type(model).__name__ + (f' with a {type(head).__name__}' if head else '')
        raise InputError(
            f'{name} cannot be exported here: allowed are an ImageClassifier, an EncoderDecoder, '
            'and one-stage detectors whose head predicts as CTHarDNetHead, HarDNetSSDHead, or '
            "mmdet's BaseDenseHead or YOLOXHead do. docs/export_other_detectors.md says which tool "
            'exports the others'
        )
    return kind(model, inside, classes)


def _find_kind(model):
    """Return the end-to-end class that fits the methods of a model's head, or None."""
    if hasattr(model, 'bbox_head'):
        return _find_detector(model)
    if hasattr(model, 'decode_head'):
        return EndToEndSegmentor
    if hasattr(getattr(model, 'head', None), '_get_predictions'):
        return EndToEndClassifier
    return None


def _find_detector(model):
    # here, as mmdet need not be installed for the others
    from .peak_detector import EndToEndPeakDetector
    from .prior_detector import find_prior_detector

    if getattr(model, 'with_mask', False):
        return None
    if getattr(model.bbox_head, 'output_names', None) == ('boxes', 'scores', 'labels'):
        return EndToEndPeakDetector
    return find_prior_detector(model.bbox_head)
