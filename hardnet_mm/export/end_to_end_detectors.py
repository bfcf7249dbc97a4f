"""The detectors as one function of the images: CenterNet and SSD."""

import numpy as np
import torch
from mmengine.structures import InstanceData
from torch import nn
from torchvision.ops import batched_nms

from ..utils.errors import InputError
from .candidates import Candidates, suppressed_by_neighbours, suppressed_by_overlap
from .end_to_end_model import WholeModel

# An nms_pre of this or more is no limit in practice, and sorting so many scores takes long: 0.1 s
# for 100,000 of 2,000,000 in ONNX Runtime. The comparison with PyTorch shows where it is one.
NO_LIMIT = 10_000


class WholeCenterNet(WholeModel):
    """``boxes`` (N, K, 4), x1 y1 x2 y2 in pixels, ``scores`` and ``labels`` (N, K), best first."""

    names = ('boxes', 'scores', 'labels')
    raw_names = ('heatmap', 'size', 'offset')

    def network(self, images):
        """Map normalised images to the maps of :class:`CTHarDNetHead`."""
        return tuple(maps[0] for maps in self.model(images, mode='tensor'))

    def finish(self, image_size, heatmap, size, offset):
        """Map the maps to the outputs."""
        test_cfg = self.model.bbox_head.test_cfg
        kernel = test_cfg.local_maximum_kernel
        peaks = nn.functional.max_pool2d(heatmap, kernel, stride=1, padding=kernel // 2)
        heatmap = heatmap * (peaks == heatmap).to(heatmap)
        cells = heatmap.shape[2] * heatmap.shape[3]
        scores, index = heatmap.flatten(1).topk(test_cfg.topk, dim=1)
        labels = torch.div(index, cells, rounding_mode='floor')
        boxes = self._boxes(index - labels * cells, size, offset)
        return boxes, scores, labels

    def _boxes(self, index, size, offset):
        """Return the boxes of cells, (N, K, 4), by their numbers (N, K)."""
        width = size.shape[3]
        row = torch.div(index, width, rounding_mode='floor')
        cell = torch.stack([index - row * width, row], dim=1)
        index = index[:, None].expand(-1, 2, -1)
        center = cell + offset.flatten(2).gather(2, index)
        half = size.clamp(min=0).flatten(2).gather(2, index) / 2
        boxes = torch.cat([center - half, center + half], dim=1).transpose(1, 2)
        return boxes * self.model.bbox_head.stride

    def candidates(self, image_size, heatmap, size, offset):
        """Return the :class:`Candidates` of one image's maps."""
        test_cfg = self.model.bbox_head.test_cfg
        height, width = heatmap.shape[2:]
        (boxes,) = self._boxes(torch.arange(height * width)[None], size, offset)
        decided_by = suppressed_by_neighbours(height, width, test_cfg.local_maximum_kernel)
        scores = heatmap[0].flatten(1)
        return Candidates(boxes, scores, (), test_cfg.topk, test_cfg.topk, decided_by, greedy=False)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        outputs = self.finished(outputs, samples)
        for index, sample in enumerate(samples):
            set_instances(sample, *(outputs[name][index] for name in type(self).names))
        return samples


class WholeSSD(WholeModel):
    """Detections, or, without NMS, the boxes and scores of all priors.

    With NMS: ``detections`` (M, 7), each the image's number, class, score, x1 y1 x2 y2 in pixels;
    boxes of one class do not overlap, and a class has at most ``max_per_class``. Decoded only:
    ``boxes`` (N, priors, 4) and ``scores`` (N, classes, priors). The network alone: ``logits`` and
    ``deltas`` of each level, numbered. Scores beyond ``test_cfg.nms_pre`` of a level are 0, and so
    are those of boxes that ``bbox_coder.clip_border`` leaves without area.

    Args:
        model (nn.Module): The model.
        inside (str): As of :class:`WholeModel`.
        classes (Sequence[str], optional): As of :class:`WholeModel`.

    Raises:
        ValueError: If ``test_cfg`` has another suppression than NMS by class, or drops boxes below
            a size in the images' own pixels, which a file does not know.
    """

    names = ('detections',)
    any_size = False

    def __init__(self, model, inside='nms', classes=None):
        levels = range(len(model.bbox_head.prior_generator.strides))
        self.raw_names = tuple(f'{part}{i}' for part in ('logits', 'deltas') for i in levels)
        super().__init__(model, inside, classes)
        if inside == 'decode':
            self.names = ('boxes', 'scores')
        test_cfg = model.bbox_head.test_cfg
        check_ssd_settings(test_cfg)
        self.score_thr, self.max_per_img = test_cfg.get('score_thr', 0), test_cfg.max_per_img
        self.iou_threshold = test_cfg.nms.iou_threshold
        self.max_per_class = test_cfg.get('max_per_class', self.max_per_img)
        self.nms_pre = test_cfg.get('nms_pre', NO_LIMIT)
        self.drops_empty = test_cfg.get('min_bbox_size', -1) == 0

    def network(self, images):
        """Map normalised images to the maps of mmdet's ``SSDHead``, level by level."""
        logits, deltas = self.model(images, mode='tensor')
        return (*logits, *deltas)

    def finish(self, image_size, *maps):
        """Map the maps to the outputs; see mmdet's ``AnchorHead``."""
        boxes, scores = self._decoded(image_size, maps)
        scores = torch.cat([self._limited(level) for level in self._levels(scores, maps)], dim=2)
        if self._clips and self.drops_empty:
            sides = boxes[..., 2:] - boxes[..., :2]
            scores = scores * (sides.amin(dim=2, keepdim=True) > 0).to(scores).transpose(1, 2)
        return (
            (boxes, scores) if self.names == ('boxes', 'scores') else self.suppress(boxes, scores)
        )

    @property
    def _clips(self):
        return self.model.bbox_head.bbox_coder.clip_border

    def _decoded(self, image_size, maps):
        """Return boxes (N, priors, 4) and scores (N, classes, priors)."""
        head = self.model.bbox_head
        sizes = [level.shape[-2:] for level in maps[: len(maps) // 2]]
        priors = torch.cat(head.prior_generator.grid_priors(sizes, device=maps[0].device))
        logits, deltas = (
            torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in part], 1)
            for part in (maps[: len(maps) // 2], maps[len(maps) // 2 :])
        )
        batch = maps[0].shape[0]  # not len(): a tracer would take it for a constant
        scores = logits.reshape(batch, -1, head.cls_out_channels).softmax(dim=2)[..., :-1]
        scores = scores.transpose(1, 2)
        priors = priors.expand(batch, -1, -1).reshape(-1, 4)
        boxes = head.bbox_coder.decode(priors, deltas.reshape(-1, 4)).reshape(batch, -1, 4)
        if self._clips:
            height, width = map(int, image_size)
            limits = torch.tensor([width, height, width, height]).to(boxes)
            boxes = torch.minimum(boxes.clamp(min=0), limits)
        return boxes, scores

    def _levels(self, scores, maps):
        """Return the scores of each level; see :meth:`network`."""
        channels = self.model.bbox_head.cls_out_channels
        levels = maps[: len(maps) // 2]
        counts = [int(level.shape[1] * level.shape[2] * level.shape[3]) for level in levels]
        return scores.split([count // channels for count in counts], dim=2)

    def _limited(self, scores):
        """Return a level's scores (N, classes, P), those beyond ``nms_pre`` set to 0."""
        if not self._is_limited(scores):
            return scores
        last = scores.flatten(1).topk(self.nms_pre, dim=1).values[:, -1]
        return scores * (scores >= last[:, None, None]).to(scores)

    def _is_limited(self, scores):
        return 0 < self.nms_pre < min(NO_LIMIT, int(scores.shape[1] * scores.shape[2]))

    def suppress(self, boxes, scores):
        """Map all priors' boxes and scores to the detections."""
        limits = (self.max_per_class, self.iou_threshold, self.score_thr)
        image, label, box = NonMaxSuppression.apply(boxes, scores, *limits).unbind(1)
        chosen = torch.stack([image.to(boxes), label.to(boxes), scores[image, label, box]], dim=1)
        return (torch.cat([chosen, boxes[image, box]], dim=1),)

    def candidates(self, image_size, *maps):
        """Return the :class:`Candidates` of one image's maps."""
        boxes, scores = self._decoded(image_size, maps)
        cutoffs = [self.score_thr]
        for level in self._levels(scores, maps):
            if self._is_limited(level):
                cutoffs.append(level.flatten().topk(self.nms_pre).values[-1].item())
        decided_by = suppressed_by_overlap(boxes[0], self.iou_threshold)
        limits = (self.max_per_img, self.max_per_class)
        return Candidates(boxes[0], scores[0], tuple(cutoffs), *limits, decided_by)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        outputs = self.finished(outputs, samples)
        if 'boxes' in outputs:
            parts = (torch.from_numpy(outputs[name]) for name in ('boxes', 'scores'))
            outputs = dict(detections=self.suppress(*parts)[0].numpy())
        for index, sample in enumerate(samples):
            rows = outputs['detections']
            rows = rows[rows[:, 0] == index]
            rows = rows[np.argsort(-rows[:, 2], kind='stable')][: self.max_per_img]
            set_instances(sample, rows[:, 3:], rows[:, 2], rows[:, 1].astype(np.int64))
        return samples


def check_ssd_settings(test_cfg):
    """Refuse test settings that no file holds.

    Args:
        test_cfg (dict): The head's.

    Raises:
        ValueError: If it has one.
    """
    nms = test_cfg.get('nms') or {}
    found = nms.get('type', 'nms')
    if not nms or found != 'nms':
        raise InputError(
            f"model.test_cfg.nms.type is {found if nms else None!r}, and a file holds 'nms' alone: "
            'pass --cfg-options model.test_cfg.nms.type=nms, and test what it changes'
        )
    # split_thr chooses between two ways to the same result
    others = {
        key: value
        for key, value in nms.items()
        if key not in ('type', 'iou_threshold', 'split_thr') and value
    }
    if others or 'iou_threshold' not in nms:
        raise InputError(
            f'model.test_cfg.nms has {dict(nms)}, and a file holds iou_threshold alone: without '
            f'{[*others]}, test what it changes'
        )
    if test_cfg.get('min_bbox_size', -1) > 0:
        raise InputError(
            f"model.test_cfg.min_bbox_size is {test_cfg.min_bbox_size} of the images' own pixels, "
            'which a file does not know: pass --cfg-options model.test_cfg.min_bbox_size=0'
        )
    if test_cfg.get('score_thr', 0) < 0:
        raise InputError(
            f'model.test_cfg.score_thr must be at least 0 in a file, got {test_cfg.score_thr}'
        )


class NonMaxSuppression(torch.autograd.Function):
    """ONNX's operator of that name, here computed by torchvision."""

    @staticmethod
    def forward(ctx, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the boxes that stay, ``(M, 3)`` int64: image, class, number of the box."""
        kept = [torch.zeros(0, 3, dtype=torch.int64)]
        for image in range(len(boxes)):
            label, box = (scores[image] > score_thr).nonzero(as_tuple=True)
            best = batched_nms(boxes[image, box], scores[image, label, box], label, iou_threshold)
            for number in label.unique():
                of_class = best[label[best] == number][:max_per_class]
                where = (torch.full_like(of_class, image), label[of_class], box[of_class])
                kept.append(torch.stack(where, dim=1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the ONNX node."""
        limits = (
            torch.tensor([max_per_class]),
            torch.tensor([iou_threshold], dtype=torch.float32),
            torch.tensor([score_thr], dtype=torch.float32),
        )
        constants = (g.op('Constant', value_t=limit) for limit in limits)
        return g.op('NonMaxSuppression', boxes, scores, *constants)


def set_instances(sample, boxes, scores, labels):
    """Set a sample's predictions, their boxes moved from the tested image to its own pixels.

    The tested image is the own one scaled, and then, as mmdet's test pipeline of CenterNet does,
    put on a larger canvas: ``border`` is top, bottom, left and right of it there.
    """
    boxes = torch.from_numpy(np.ascontiguousarray(boxes))
    scale = boxes.new_tensor(sample.get('scale_factor', (1.0, 1.0))).repeat(2)
    corner = boxes.new_tensor(np.asarray(sample.get('border', np.zeros(4)))[[2, 0, 2, 0]])
    sample.pred_instances = InstanceData(
        bboxes=(boxes - corner) / scale,
        scores=torch.from_numpy(np.ascontiguousarray(scores)),
        labels=torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)),
    )
