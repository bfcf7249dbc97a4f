"""A whole model as one function of the images as they are read: to be exported.

Images come as ``(N, 3, H, W)`` float32, 0..255, BGR as OpenCV reads them, at the size that the
model is tested at. Normalisation is inside; so is what follows the network, as far as a file format
can hold it: ``'nms'`` all of it, ``'decode'`` all but NMS, ``'network'`` nothing. The rest is done
by :meth:`WholeModel.attach`, on the outputs as NumPy arrays. What a config asks for and no file can
hold is refused when the whole model is made.
"""

import numpy as np
import torch
from mmengine.structures import PixelData
from torch import nn

from ..utils.errors import InputError
from .end_to_end_detectors import WholeCenterNet, WholeSSD
from .end_to_end_model import WholeModel

# What a classification head may make of its logits, and back: (N, classes) to (N, classes).
ACTIVATIONS = dict(
    softmax=(lambda logits: logits.softmax(dim=1), torch.log),
    sigmoid=(torch.sigmoid, torch.logit),
    none=(lambda logits: logits, lambda scores: scores),
)


class WholeClassifier(WholeModel):
    """``scores`` (N, classes), as the head gives them: softmax, sigmoid or none, which it is asked.

    Args:
        model (nn.Module): The model.
        inside (str): As of :class:`WholeModel`.
        classes (Sequence[str], optional): As of :class:`WholeModel`.

    Raises:
        ValueError: If the head makes something else of its logits.
    """

    names = raw_names = ('scores',)

    def __init__(self, model, inside='nms', classes=None):
        super().__init__(model, inside, classes)
        self.activate, self.invert = ACTIVATIONS[find_activation(model.head)]

    def network(self, images):
        """Map normalised images to the outputs."""
        return (self.activate(self.model(images, mode='tensor')),)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, labels as the head decides."""
        scores = torch.from_numpy(outputs['scores'])
        samples = self.model.head._get_predictions(self.invert(scores), samples)
        for sample, row in zip(samples, scores):
            sample.set_pred_score(row)
        return samples


def find_activation(head):
    """Return which of :data:`ACTIVATIONS` a head applies to its logits, by trying it.

    Raises:
        ValueError: If it is none of them.
    """
    classes = getattr(head, 'num_classes', 1000)
    logits = torch.linspace(-3, 3, 2 * classes).view(2, classes)
    try:
        samples = head._get_predictions(logits, None)
        scores = torch.stack([sample.pred_score for sample in samples])
    except Exception as error:
        raise InputError(_no_activation(head)) from error
    for name, (activate, _) in ACTIVATIONS.items():
        wanted = activate(logits)
        if scores.shape == wanted.shape and torch.allclose(scores, wanted):
            return name
    raise InputError(_no_activation(head))


def _no_activation(head):
    return (
        f'a classifier with a {type(head).__name__} cannot be exported: its scores must be softmax '
        'or sigmoid of one output per class, or that output'
    )


class WholeSegmentor(WholeModel):
    """``labels`` (N, H', W') int64, the classes of the pixels.

    H' and W' are the images' own size, by the ratio of :meth:`tested_as`; without it the tested
    one. Where ``model.test_cfg.mode`` is 'slide' the windows are inside, at one size.

    Args:
        model (nn.Module): The model.
        inside (str): As of :class:`WholeModel`.
        classes (Sequence[str], optional): As of :class:`WholeModel`.

    Raises:
        ValueError: If ``model.test_cfg.mode`` is neither 'whole' nor 'slide'.
    """

    names, raw_names = ('labels',), ('logits',)

    def __init__(self, model, inside='nms', classes=None):
        super().__init__(model, inside, classes)
        mode = model.test_cfg.get('mode', 'whole')
        if mode not in ('whole', 'slide'):
            raise InputError(f"model.test_cfg.mode must be 'whole' or 'slide', got {mode!r}")
        self.any_size = mode == 'whole'
        self.ratios = ((1, 1), (1, 1))

    def tested_as(self, sample):
        """Take the images' own size by the tested one, height and width, from a data sample."""
        self.ratios = tuple(zip(sample.ori_shape[:2], sample.img_shape[:2]))

    def resizes_otherwise(self, sample):
        """Tell if an image is resized for testing by another ratio than :meth:`tested_as` took."""
        return tuple(self._own_size(sample.img_shape[:2])) != tuple(sample.ori_shape[:2])

    def _own_size(self, size):
        # of integers, so that they can stay free, and come out as the images' own size
        return [
            (side * own + tested // 2) // tested for side, (own, tested) in zip(size, self.ratios)
        ]

    def network(self, images):
        """Map normalised images to logits at their size."""
        shape = images.shape[2:]
        return (self.model.inference(images, [dict(img_shape=shape, ori_shape=shape)]),)

    def finish(self, size, logits):
        """Map logits to the outputs."""
        if any(own != tested for own, tested in self.ratios):
            logits = self._resized(logits, self._own_size(logits.shape[2:]))
        return (self._decided(logits),)

    def _resized(self, logits, size):
        align = self.model.align_corners
        return nn.functional.interpolate(logits, size, mode='bilinear', align_corners=align)

    def _decided(self, logits):
        if self.model.out_channels == 1:  # mmseg's BaseSegmentor.postprocess_result
            head = self.model.decode_head  # several where each refines the last one's map
            head = head[-1] if isinstance(head, nn.ModuleList) else head
            return (logits.sigmoid() > head.threshold)[:, 0].long()
        return logits.argmax(dim=1)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, at the images' own size."""
        for index, sample in enumerate(samples):
            if 'logits' in outputs:  # what follows them is done here, whatever was exported for
                logits = torch.from_numpy(outputs['logits'][index : index + 1])
                labels = self._decided(self._resized(logits, tuple(sample.ori_shape[:2])))
            else:
                labels = torch.from_numpy(outputs['labels'][index : index + 1].astype(np.int64))
            if labels.shape[1:] != tuple(sample.ori_shape[:2]):  # another ratio than exported for
                labels = nn.functional.interpolate(labels[:, None].float(), sample.ori_shape[:2])
                labels = labels[:, 0].long()
            sample.pred_sem_seg = PixelData(data=labels)
        return samples


def as_whole(model, inside='nms', classes=None):
    """Return a model of this plugin's kinds as one function.

    Args:
        model (nn.Module): A classifier, a segmentor, a CenterNet or an SSD.
        inside (str): As of :class:`WholeModel`. Defaults to 'nms'.
        classes (Sequence[str], optional): As of :class:`WholeModel`.

    Raises:
        ValueError: If it is another kind, or its ``test_cfg`` asks for what no file holds.
    """
    head = type(getattr(model, 'bbox_head', None)).__name__
    if head == 'CTHarDNetHead':
        return WholeCenterNet(model, inside, classes)
    if head == 'HarDNetSSDHead':
        return WholeSSD(model, inside, classes)
    if hasattr(model, 'decode_head'):
        return WholeSegmentor(model, inside, classes)
    if type(model).__name__ == 'ImageClassifier' and hasattr(model, 'head'):
        return WholeClassifier(model, inside, classes)
    raise InputError(
        f'{type(model).__name__} cannot be exported: allowed are an ImageClassifier, an '
        'EncoderDecoder, and the detectors with a CTHarDNetHead or HarDNetSSDHead'
    )
