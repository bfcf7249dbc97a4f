"""The end-to-end model of detectors with priors, such as SSD."""

from functools import partial

import numpy as np
import torch
from mmdet.models.dense_heads import YOLOXHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead

from ...det.priors import decode_priors, flatten_levels
from ...det.ssd_head import own_pixel_size
from ...utils.tracing import constant
from ..candidates import Candidates, suppressed_by_overlap
from .instances import set_instances
from .model import EndToEndModel
from .nms import NonMaxSuppression, check_nms_settings

# An nms_pre of at least this number is ignored: it hardly ever limits anything, and selecting so
# many scores is slow (0.1 s for 100,000 of 2,000,000 in ONNX Runtime). If it does limit, the
# comparison with PyTorch fails.
NO_LIMIT = 10_000


class EndToEndPriorDetector(EndToEndModel):
    """A detector with priors, as one function of the images.

    The outputs depend on ``inside``:

    - 'nms': ``detections`` (M, 7), each with image index, class, score, and x1 y1 x2 y2 in pixels.
      A class has at most ``max_per_class`` detections.
    - 'decode': ``boxes`` (N, priors, 4) and ``scores`` (N, classes, priors).
    - 'network': the head's maps of each level, numbered.

    Scores beyond the ``test_cfg.nms_pre`` highest of a level are set to 0. So are the scores of
    boxes that have no area after clipping (``bbox_coder.clip_border``).

    If the head has ``inclusive_boxes``, the file adds one pixel of the tested image to boxes.
    :meth:`attach` corrects this to one pixel of the original image; before NMS, unless NMS is in
    the file.

    A head with ``map_names``, ``output_names`` and ``decode``, such as :class:`HarDNetSSDHead`,
    decodes its maps itself. Any other head must use the prediction code of mmdet's
    ``BaseDenseHead``. Its maps are then called ``logits``, ``deltas``, and, if scores are
    multiplied by a third kind of map, ``factors``.

    Args:
        model (nn.Module): A one-stage detector.
        inside (str): As in :class:`EndToEndModel`.
        classes (Sequence[str], optional): As in :class:`EndToEndModel`.

    Raises:
        InputError: If ``test_cfg`` asks for another suppression than NMS by class, or for a minimum
            box size in pixels of the original image, which a file does not know.
    """

    final_names = ('detections',)
    any_size = False

    def __init__(self, model, inside='nms', classes=None):
        self.map_names = find_map_names(model)
        levels = range(len(model.bbox_head.prior_generator.strides))
        self.raw_names = tuple(f'{name}{level}' for name in self.map_names for level in levels)
        super().__init__(model, inside, classes)
        if inside == 'decode':
            self.names = ('boxes', 'scores')
        test_cfg = model.bbox_head.test_cfg
        check_nms_settings(test_cfg)
        self.score_thr = test_cfg.get('score_thr', 0)
        self.iou_threshold = test_cfg.nms.iou_threshold
        self.max_per_img = self.most_detections(test_cfg)
        self.max_per_class = test_cfg.get('max_per_class', self.max_per_img)
        self.nms_pre = test_cfg.get('nms_pre', NO_LIMIT)
        self.drops_empty = test_cfg.get('min_bbox_size', -1) == 0
        self.inclusive = getattr(model.bbox_head, 'inclusive_boxes', False)

    @staticmethod
    def most_detections(test_cfg):
        """Return the maximum number of detections per image."""
        return test_cfg.max_per_img

    def network(self, images):
        """Map normalised images to the head's maps: all levels of the first kind, then the next."""
        kinds = self.model(images, mode='tensor')
        return tuple(level for levels in kinds for level in levels)

    def kinds(self, maps):
        """Group the maps as the head returns them: for each kind, a list over levels."""
        levels = len(maps) // len(self.map_names)
        return [maps[start : start + levels] for start in range(0, len(maps), levels)]

    def finish(self, image_size, *maps):
        """Map the maps to the outputs."""
        boxes, scores = self.scored(image_size, maps)
        if self.names == ('boxes', 'scores'):
            return boxes, scores
        return self.suppress(boxes, scores)

    def scored(self, image_size, maps):
        """Return boxes ``(N, P, 4)`` and scores ``(N, classes, P)``; dropped scores are 0."""
        boxes, scores = self.decoded(image_size, maps)
        scores = self.kept(scores, maps)
        if self.drops_empty:
            sides = boxes[..., 2:] - boxes[..., :2]
            scores = scores * (sides.amin(dim=2, keepdim=True) > 0).to(scores).transpose(1, 2)
        return boxes, scores

    def decoded(self, image_size, maps):
        """Return boxes ``(N, P, 4)`` and scores ``(N, classes, P)`` of all priors."""
        head = self.model.bbox_head
        own = hasattr(head, 'output_names')
        decode = head.decode if own else partial(decode_priors, head)
        return decode(*self.kinds(maps)[:2], image_size)

    def kept(self, scores, maps):
        """Set the scores of priors that do not enter NMS to 0."""
        scores = torch.cat([self._limited(level) for level in self._levels(scores, maps)], dim=2)
        if 'factors' in self.map_names:  # mmdet applies the threshold before it multiplies
            scores = scores * (scores > self.score_thr).to(scores)
        return self.weighted(scores, maps)

    def weighted(self, scores, maps):
        """Multiply scores by the factors of their priors, if the head has factors."""
        if 'factors' not in self.map_names:
            return scores
        factors = flatten_levels(self.kinds(maps)[2], 1).sigmoid()
        return scores * factors.transpose(1, 2)

    def _levels(self, scores, maps):
        """Return the scores of each level."""
        channels = self.model.bbox_head.cls_out_channels
        levels = self.kinds(maps)[0]
        counts = [constant(level.shape[1] * level.shape[2] * level.shape[3]) for level in levels]
        return scores.split([count // channels for count in counts], dim=2)

    def _limited(self, scores):
        """Set a level's scores (N, classes, P) beyond the ``nms_pre`` highest to 0."""
        if not self._is_limited(scores):
            return scores
        last = scores.flatten(1).topk(self.nms_pre, dim=1).values[:, -1]
        return scores * (scores >= last[:, None, None]).to(scores)

    def _is_limited(self, scores):
        return 0 < self.nms_pre < min(NO_LIMIT, constant(scores.shape[1] * scores.shape[2]))

    def suppress(self, boxes, scores):
        """Map the boxes and scores of all priors to detections, by NMS."""
        # if a score is a product, the threshold was already applied to its first factor
        score_thr = 0 if 'factors' in self.map_names else self.score_thr
        limits = (self.max_per_class, self.iou_threshold, score_thr)
        image, label, box = NonMaxSuppression.apply(boxes, scores, *limits).unbind(1)
        chosen = torch.stack([image.to(boxes), label.to(boxes), scores[image, label, box]], dim=1)
        return (torch.cat([chosen, boxes[image, box]], dim=1),)

    def candidates(self, image_size, *maps):
        """Return the :class:`Candidates` of one image's maps: every prior of every class."""
        boxes, scores = self.decoded(image_size, maps)
        margins, scores = self.margins(scores, maps), self.weighted(scores, maps)
        decided_by = suppressed_by_overlap(boxes[0], self.iou_threshold)
        limits = (self.max_per_img, self.max_per_class)
        return Candidates(boxes[0], scores[0], margins[0], *limits, decided_by)

    def margins(self, scores, maps):
        """Return the distance of each score ``(1, classes, P)`` to the limit that drops it."""
        return torch.cat([self._margins(level) for level in self._levels(scores, maps)], dim=2)

    def _margins(self, scores):
        margins = (scores - self.score_thr).abs()
        if self._is_limited(scores):
            last = scores.flatten().topk(self.nms_pre).values[-1]
            margins = torch.minimum(margins, (scores - last).abs())
        return margins

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        missing = self._missing_pixels(samples)
        if 'detections' in outputs:
            detections = np.array(outputs['detections'])
            detections[:, 3:] += missing.numpy()[detections[:, 0].astype(int)]
        else:
            boxes, scores = self._scored_outputs(outputs, samples)
            detections = self.suppress(boxes + missing[:, None], scores)[0].numpy()
        for index, sample in enumerate(samples):
            rows = detections[detections[:, 0] == index]
            rows = rows[np.argsort(-rows[:, 2], kind='stable')][: self.max_per_img]
            set_instances(sample, rows[:, 3:], rows[:, 2], rows[:, 1])
        return samples

    def _scored_outputs(self, outputs, samples):
        """Return boxes and scores as :meth:`scored` does, from a file without NMS."""
        if 'boxes' in outputs:
            return tuple(torch.from_numpy(outputs[name]) for name in ('boxes', 'scores'))
        maps = [torch.from_numpy(outputs[name]) for name in self.raw_names]
        return self.scored(samples[0].img_shape[:2], maps)

    def _missing_pixels(self, samples):
        """Return the correction of each image's boxes for ``inclusive_boxes``, ``(N, 4)``.

        A file adds a pixel of the tested image, since it knows no other. The correct value is a
        pixel of the original image. This returns the difference.
        """
        missing = torch.zeros(len(samples), 4)
        if self.inclusive:
            missing[:, 2:] = torch.tensor([own_pixel_size(s.metainfo) for s in samples]) - 1
        return missing


class EndToEndYOLOX(EndToEndPriorDetector):
    """The end-to-end model of mmdet's YOLOX: one class per prior, and no limit on detections."""

    @staticmethod
    def most_detections(test_cfg):
        """Return a number that does not limit."""
        return NO_LIMIT

    def decoded(self, image_size, maps):
        """Return boxes ``(N, P, 4)`` and scores ``(N, classes, P)`` of all priors."""
        head = self.model.bbox_head
        logits, deltas, objectness = self.kinds(maps)
        sizes = [level.shape[-2:] for level in logits]
        priors = head.prior_generator.grid_priors(
            sizes, dtype=logits[0].dtype, device=logits[0].device, with_stride=True
        )
        boxes = head._bbox_decode(torch.cat(priors), flatten_levels(deltas, 4))
        scores = flatten_levels(logits, head.cls_out_channels).sigmoid()
        return boxes, (scores * flatten_levels(objectness, 1).sigmoid()).transpose(1, 2)

    def kept(self, scores, maps):
        """Set all scores of a prior except that of its best class to 0."""
        labels = torch.arange(scores.shape[1], device=scores.device)[:, None]
        return scores * (scores.argmax(dim=1, keepdim=True) == labels).to(scores)

    def weighted(self, scores, maps):
        """Return the scores, which already contain all factors."""
        return scores

    def margins(self, scores, maps):
        """Return the distances of the scores to the threshold and to the score of another class."""
        margins = (scores - self.score_thr).abs()
        if scores.shape[1] == 1:
            return margins
        best, second = scores.topk(2, dim=1).values.unbind(1)
        gap = best[:, None] - torch.where(scores == best[:, None], second[:, None], scores)
        return torch.minimum(margins, gap)


def find_map_names(model):
    """Return the names of the kinds of maps that a detector's head returns.

    Heads of this package declare them. For other heads, the model is run on a small image.
    """
    head = model.bbox_head
    if hasattr(head, 'map_names'):
        return head.map_names
    with torch.no_grad():
        images = next(model.parameters()).new_zeros(1, 3, 128, 128)
        kinds = model.eval()(images, mode='tensor')
    return ('logits', 'deltas', 'factors')[: len(kinds)]


def find_prior_detector(head):
    """Return the end-to-end class for a head, or None.

    None is returned for a head with its own prediction code, or with a decoding that
    :func:`decode_priors` does not support: its file would predict other boxes.
    """
    if getattr(head, 'output_names', None) == ('boxes', 'scores'):
        return EndToEndPriorDetector
    if _predicts_as(head, YOLOXHead):
        return EndToEndYOLOX
    coder = getattr(head, 'bbox_coder', None)
    decodes = hasattr(coder, 'clip_border') and coder.encode_size == 4
    custom = getattr(getattr(head, 'loss_cls', None), 'custom_cls_channels', False)
    if _predicts_as(head, BaseDenseHead) and decodes and not custom:
        return EndToEndPriorDetector
    return None


def _predicts_as(head, kind):
    """Return whether a head uses the prediction methods of a class, without overriding one."""
    names = ('predict_by_feat', '_predict_by_feat_single', '_bbox_post_process')
    return isinstance(head, kind) and all(
        getattr(type(head), name) is getattr(kind, name) for name in names
    )
