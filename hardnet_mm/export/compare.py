"""Comparing an exported file with PyTorch, image by image.

Outputs that are not decisions, such as scores of all priors, are compared numerically. Then
decisions are compared, such as the chosen boxes. If scores are nearly equal, two correct programs
can decide differently. Such differences do not count: see :class:`DetectionComparison`.
"""

from typing import NamedTuple

import numpy as np
import torch

# A corner is a product of the box's side, so its rounding grows with the side: 1e-5 of it and more
# in boxes of thousands of pixels. This part of the longer side is not counted.
BOX_SHARE = 1e-4
BOX_DISTANCE = f'boxes, pixels beyond {BOX_SHARE} of the side'
# Outputs of the file, relative to PyTorch's largest; scores; pixels of the tested image; number of
# detections; share of the pixels whose class differs.
TOLERANCES = {
    'outputs, relative': 1e-3,
    'scores': 1e-3,
    BOX_DISTANCE: 0.1,
    'detections': 0,
    'labels, share': 1e-3,
}
# The distances that are reported for an int8 file.
INT8_TOLERANCES = {**TOLERANCES, 'scores': 0.1, BOX_DISTANCE: 3.0}
# Detections with lower scores are ignored: CenterNet fills its list with zeros.
LEAST_SCORE = 0.01


class Comparison(NamedTuple):
    """The differences between a file's prediction of one image and PyTorch's.

    Attributes:
        distances (dict[str, float]): Distances, with the keys of :data:`TOLERANCES`.
        differences (list[str]): A description of each detection that differs.
        ties (int): Number of detections that differ only because of nearly equal scores.
    """

    distances: dict
    differences: list = []
    ties: int = 0


def compare(end_to_end, runtime, model, item, tolerances=TOLERANCES):
    """Compare a file's prediction of an image with PyTorch's.

    Args:
        end_to_end (EndToEndModel): The exported model.
        runtime (callable): The loaded file.
        model (nn.Module): The original model.
        item (dict): ``inputs`` and ``data_samples`` of the image, as a data set returns them.
        tolerances (dict): Allowed distances. Defaults to :data:`TOLERANCES`.

    Returns:
        Comparison: The differences, in pixels of the tested image; for segmentors, in pixels of the
        file's label map.
    """
    images = item['inputs'][None].float()
    outputs = runtime(np.ascontiguousarray(images.numpy()))
    with torch.no_grad():
        raw = end_to_end.raw(images)
        sample = own_sample(item['data_samples'], outputs, tuple(images.shape[2:]))
        batch = dict(inputs=[item['inputs']], data_samples=[sample.clone()])
        (wanted,) = model.test_step(batch)
        distances = compare_outputs(end_to_end, outputs, raw, images.shape[2:])
        (found,) = end_to_end.attach(outputs, [sample.clone()])
        if hasattr(end_to_end, 'candidates'):
            candidates = end_to_end.candidates(images.shape[2:], *raw)
            comparison = DetectionComparison(candidates, tolerances)(
                found.pred_instances, wanted.pred_instances
            )
            return comparison._replace(distances={**distances, **comparison.distances})
    if 'pred_sem_seg' in wanted:
        distances['labels, share'] = compare_maps(found, wanted)
    if 'pred_score' in wanted:
        distances['scores'] = largest(found.pred_score - wanted.pred_score)
    return Comparison(distances)


def own_sample(sample, outputs, size):
    """Return a copy of a data sample whose predictions will be in pixels of the file's outputs."""
    sample = sample.clone()
    settings = dict(ori_shape=size, scale_factor=(1.0, 1.0))
    if 'labels' in outputs and outputs['labels'].ndim == 3:
        settings['ori_shape'] = outputs['labels'].shape[1:]
    if 'border' in sample:
        settings['border'] = np.zeros(4)
    sample.set_metainfo(settings)
    return sample


def compare_outputs(end_to_end, outputs, raw, image_size):
    """Return the distance of the outputs that are not decisions, relative to their largest."""
    wanted = dict(zip(end_to_end.raw_names, raw))
    if set(outputs) == {'boxes', 'scores'}:  # of all priors
        wanted = dict(zip(('boxes', 'scores'), end_to_end.finish(image_size, *raw)))
    shared = [name for name in wanted if name in outputs]
    if not shared:
        return {}
    distances = [
        largest(torch.from_numpy(outputs[name]) - wanted[name]) / max(largest(wanted[name]), 1e-12)
        for name in shared
    ]
    return {'outputs, relative': max(distances)}


def largest(tensor):
    """Return the largest absolute value; infinity if a value is NaN."""
    value = tensor.detach().abs().max().item() if tensor.numel() else 0.0
    return float('inf') if np.isnan(value) else value


def compare_maps(found, wanted, margin=1e-3):
    """Return the share of pixels whose class differs, except where two logits are nearly equal.

    Args:
        found (DataElement): A data sample with ``pred_sem_seg``.
        wanted (DataElement): PyTorch's data sample, with ``seg_logits``.
        margin (float): Logits are nearly equal if their difference is at most this part of the
            largest logit. Defaults to 1e-3.
    """
    labels, logits = wanted.pred_sem_seg.data.long(), wanted.seg_logits.data
    differ = found.pred_sem_seg.data.long() != labels
    if len(logits) > 1:
        best = logits.gather(0, labels)
        other = logits.gather(0, found.pred_sem_seg.data.long().clamp(0, len(logits) - 1))
        differ &= best - other > margin * max(largest(logits), 1e-12)
    return differ.float().mean().item()


class DetectionComparison:
    """Compares two lists of detections by means of the candidates they were chosen from.

    Every detection of the file must match one of PyTorch's candidates: same class, and box and
    score within the tolerances. Both lists are then sets of candidates, which must be equal.

    Detections below :data:`LEAST_SCORE` do not count. Neither do decisions that rounding can
    change: a score near a threshold or at the end of a full list, suppression by a nearly equal
    score, an overlap near the limit, and suppression by such a detection.

    Args:
        candidates (Candidates): PyTorch's candidates.
        tolerances (dict): Allowed distances. Defaults to :data:`TOLERANCES`.
    """

    def __init__(self, candidates, tolerances=TOLERANCES):
        self.candidates = candidates
        self.score, self.box = tolerances['scores'], tolerances[BOX_DISTANCE]
        sides = (candidates.boxes[:, 2:] - candidates.boxes[:, :2]).amax(dim=1)
        self.reach = self.box + BOX_SHARE * sides

    def __call__(self, found, wanted):
        """Compare a file's detections with PyTorch's, both ``InstanceData``.

        Returns:
            Comparison: ``distances`` has the distances of scores and boxes to the nearest
            candidate, boxes beyond :data:`BOX_SHARE`, and the number of detections that differ.
        """
        self.distances = {'scores': 0.0, BOX_DISTANCE: 0.0}
        self.differences = []
        self.lists = (found, wanted)
        chosen = [
            self._chosen(found, 'the file detects'),
            self._chosen(wanted, 'PyTorch detects'),
        ]
        differ = chosen[0].keys() ^ chosen[1].keys()
        counted = sorted(key for key in differ if not self._may_differ(key, chosen, differ))
        for key in counted:
            here, there = ('the file', 'PyTorch')[:: 1 if key in chosen[0] else -1]
            detection = chosen[0].get(key) or chosen[1].get(key)
            self.differences.append(f'{here} detects {detection}, and {there} does not')
        distances = {**self.distances, 'detections': len(self.differences)}
        return Comparison(distances, self.differences, len(differ) - len(counted))

    def _chosen(self, instances, who):
        """Return the detections by class and candidate; unmatched ones become differences."""
        chosen = {}
        for box, score, label in zip(instances.bboxes, instances.scores, instances.labels):
            if score < LEAST_SCORE:
                continue
            label = int(label)
            index, boxes, scores, near = self._nearest(box, score, label)
            beyond = boxes - (self.reach[index].item() - self.box)
            self.distances[BOX_DISTANCE] = max(self.distances[BOX_DISTANCE], beyond)
            self.distances['scores'] = max(self.distances['scores'], scores)
            detection = describe(label, score, box)
            if near:
                chosen[label, index] = detection
            else:
                self.differences.append(
                    f'{who} {detection}, which is {boxes:.3g} pixels and {scores:.3g} of score '
                    "from the nearest of PyTorch's candidates"
                )
        return chosen

    def _nearest(self, box, score, label):
        """Return index, box and score distance of the nearest candidate, and whether it matches."""
        boxes = (self.candidates.boxes - box).abs().amax(dim=1)
        scores = (self.candidates.scores[label] - score).abs()
        far = torch.maximum(boxes / self.reach, scores / self.score)
        index = int(torch.nan_to_num(far, nan=float('inf')).argmin())
        return index, boxes[index].item(), scores[index].item(), bool(far[index] <= 1)

    def _may_differ(self, key, chosen, differ):
        label, index = key
        scores = self.candidates.scores[label]
        score = scores[index].item()
        end = self._end(self.lists[1 if key in chosen[0] else 0], label)
        if score <= max(LEAST_SCORE, end) + self.score:
            return True
        if self.candidates.margins[label, index] <= self.score:
            return True
        return self._may_be_suppressed(key, chosen, differ)

    def _end(self, instances, label):
        """Return the lowest score in the full lists of a class; -1 if no list is full."""
        of_class = instances.scores[instances.labels == label]
        lists = (
            (instances.scores, self.candidates.most),
            (of_class, self.candidates.most_of_class),
        )
        return max((part.min().item() for part, most in lists if len(part) >= most), default=-1.0)

    def _may_be_suppressed(self, key, chosen, differ):
        label, index = key
        scores = self.candidates.scores[label]
        rivals, uncertain = self.candidates.decided_by(index)
        rivals = rivals & (scores >= scores[index] - self.score)
        rivals[index] = False
        equal = rivals & ((scores - scores[index]).abs() <= self.score)
        if not self.candidates.greedy and equal.any():
            return True
        return any(
            rivals[other] and (uncertain[other] or (label, other) in differ)
            for of_class, other in chosen[0].keys() | chosen[1].keys()
            if of_class == label
        )


def describe(label, score, box):
    """Return a description of a detection."""
    corners = ' '.join(f'{side:.1f}' for side in box.tolist())
    return f'class {label} with score {score:.3f} at {corners}'
