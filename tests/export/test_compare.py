"""What a comparison of a file with PyTorch counts: faults, and no ties."""

import copy

import pytest
import torch
from helpers.exported import (
    deployed,
    in_pytorch,
    items,
    predictions,
    random_images,
)
from mmengine.structures import InstanceData, PixelData
from mmseg.structures import SegDataSample

from hardnet_mm.export.candidates import (
    Candidates,
    suppressed_by_overlap,
)
from hardnet_mm.export.compare import (
    BOX_DISTANCE,
    TOLERANCES,
    DetectionComparison,
    compare,
    compare_maps,
)

# four boxes apart, and three that overlap the first one, each the next one, too
BOXES = torch.tensor(
    [[0.0, 0, 20, 20], [100, 0, 120, 20], [200, 0, 220, 20], [300, 0, 320, 20]]
    + [[2.0, 0, 22, 20], [6, 0, 26, 20], [13, 0, 33, 20]]
)


def candidates(scores, cutoffs=(), most=100, most_of_class=100):
    decided_by = suppressed_by_overlap(BOXES, 0.45)
    scores = torch.tensor([scores])
    margins = torch.full_like(scores, 9)
    for cutoff in cutoffs:
        margins = torch.minimum(margins, (scores - cutoff).abs())
    return Candidates(BOXES, scores, margins, most, most_of_class, decided_by)


def detections(scores, *numbers, boxes=BOXES):
    numbers = list(numbers)
    return InstanceData(
        bboxes=boxes[numbers],
        scores=torch.tensor(scores)[numbers],
        labels=torch.zeros(len(numbers), dtype=torch.int64),
    )


def differences(found, wanted, scores, **settings):
    """How many are counted, and how many are ties."""
    comparison = DetectionComparison(candidates(scores, **settings))(
        detections(scores, *found), detections(scores, *wanted)
    )
    assert comparison.distances['detections'] == len(comparison.differences)
    return len(comparison.differences), comparison.ties


def test_one_that_only_what_is_not_chosen_could_suppress():
    """Two of nearly equal score overlap: one of them must be there, and no more than one."""
    twins = [0.9, 0.0, 0.0, 0.0, 0.8995, 0.0, 0.0]
    assert differences([], [0], twins) == (1, 0)
    assert differences([0, 4], [0], twins) == (1, 0)
    assert differences([4], [0], twins) == (0, 2)


APART = [0.9, 0.8, 0.7, 0.6, 0.0, 0.0, 0.0]


def test_the_same_in_another_order():
    assert differences([3, 1, 0, 2], [0, 1, 2, 3], APART) == (0, 0)


def test_one_that_is_missing_or_one_too_many():
    assert differences([0, 1, 3], [0, 1, 2, 3], APART) == (1, 0)
    assert differences([0, 1, 2, 3], [0, 1, 3], APART) == (1, 0)
    assert differences([0], [1], APART) == (2, 0)


@pytest.mark.parametrize(
    'change', [dict(bboxes=3.0), dict(scores=0.01), dict(labels=1), dict(bboxes=float('nan'))]
)
def test_a_wrong_detection_is_named(change):
    scores = [APART, [0.0] * 7]
    all_of_them = candidates(APART)._replace(
        scores=torch.tensor(scores), margins=torch.full((2, 7), 9.0)
    )
    wanted = detections(APART, 0, 1, 2, 3)
    found = copy.deepcopy(wanted)
    ((name, amount),) = change.items()
    found[name][2] += amount
    for first, second in ((found, wanted), (wanted, found)):
        comparison = DetectionComparison(all_of_them)(first, second)
        assert len(comparison.differences) == 2  # a wrong one, and a right one that is missing
        assert comparison.ties == 0
        assert any('at 200.0 0.0 220.0 20.0' in line for line in comparison.differences)


@pytest.mark.parametrize(
    'side, error, accepted', [(4000, 0.3, True), (4000, 0.6, False), (20, 0.2, False)]
)
def test_rounding_in_a_large_box_is_no_fault(side, error, accepted):
    """A tool refuses a file by its distances and by its differences, which agree."""
    boxes = torch.tensor([[0.0, 0, side, 30]])
    scores = torch.tensor([[0.9]])
    decided_by = suppressed_by_overlap(boxes, 0.45)
    wanted = detections([0.9], 0, boxes=boxes)
    found = detections([0.9], 0, boxes=boxes + torch.tensor([0, 0, error, 0]))
    comparison = DetectionComparison(Candidates(boxes, scores, scores + 9, 9, 9, decided_by))
    result = comparison(found, wanted)
    assert (result.distances[BOX_DISTANCE] <= TOLERANCES[BOX_DISTANCE]) == accepted
    assert (result.differences == []) == accepted


def test_ties_are_not_counted():
    # equal scores that overlap: either stays
    assert differences([4], [0], [0.9, 0, 0, 0, 0.9, 0, 0]) == (0, 2)
    assert differences([4], [0], [0.9, 0, 0, 0, 0.8995, 0, 0]) == (0, 2)
    # what is suppressed by one of them stays with the other: 6 overlaps 5 and not 4
    chain = [0.0, 0, 0, 0, 0.9, 0.9, 0.5]
    assert differences([4, 6], [5], chain) == (0, 3)
    # at the score of a cutoff
    assert differences([0, 1], [0], [0.9, 0.5, 0, 0, 0, 0, 0], cutoffs=(0.5004,)) == (0, 1)
    assert differences([0, 1], [0], [0.9, 0.5, 0, 0, 0, 0, 0], cutoffs=(0.52,)) == (1, 0)
    # at the end of a full list, of all or of the class
    for limit in ('most', 'most_of_class'):
        assert differences([0, 1], [0, 2], [0.9, 0.5, 0.5, 0, 0, 0, 0], **{limit: 2}) == (0, 2)
        assert differences([0, 2], [0, 1], [0.9, 0.6, 0.5, 0, 0, 0, 0], **{limit: 2})[0] == 1
    # too little to be anything
    assert differences([0], [0, 1], [0.9, 0.005, 0, 0, 0, 0, 0]) == (0, 0)


def test_a_decision_that_is_no_tie_is_counted():
    assert differences([4], [0], [0.9, 0, 0, 0, 0.8, 0, 0])[0] >= 1
    assert differences([0, 4], [0], [0.9, 0, 0, 0, 0.8, 0, 0]) == (1, 0)  # suppression forgotten


def test_an_overlap_at_the_limit_is_a_tie():
    boxes = torch.tensor([[0.0, 0, 20, 20], [0, 0, 20, 9], [0, 0, 20, 8.5]])  # 0.45 and 0.425
    scores = torch.tensor([[0.9, 0.7, 0.5]])
    decided_by = suppressed_by_overlap(boxes, 0.45)
    comparison = DetectionComparison(Candidates(boxes, scores, scores + 9, 9, 9, decided_by))
    numbers = scores[0].tolist()
    result = comparison(detections(numbers, 0, 1, boxes=boxes), detections(numbers, 0, boxes=boxes))
    assert (len(result.differences), result.ties) == (0, 1)
    result = comparison(detections(numbers, 0, 2, boxes=boxes), detections(numbers, 0, boxes=boxes))
    assert (len(result.differences), result.ties) == (1, 0)


def test_what_is_beyond_the_peaks_is_no_fault(models):
    """CenterNet's list is filled with zeros, which a runtime orders in its own way."""
    model, cfg = models('centernet_hardnet')
    model = copy.deepcopy(model)
    model.bbox_head.test_cfg.topk = 2000
    end_to_end = deployed(model)
    (entry,) = items(cfg, random_images())
    run = in_pytorch(end_to_end)

    def reordered(images):
        outputs = run(images)
        zero = outputs['scores'][0] == 0
        assert zero.sum() > 10
        for output in outputs.values():
            output[0, zero] = output[0, zero][::-1].copy()
        return outputs

    assert compare(end_to_end, reordered, model, entry).differences == []

    def moved(images):
        outputs = run(images)
        outputs['boxes'][0, 0] += 3
        return outputs

    result = compare(end_to_end, moved, model, entry)
    assert len(result.differences) == 2
    assert "from the nearest of PyTorch's candidates" in result.differences[0]


def test_a_saturated_detector(models):
    """Scores that are all 1: which boxes stay is chance, and none of them may be wrong."""
    model, cfg = models('ssd_hardnet')
    model = copy.deepcopy(model)
    for conv in model.bbox_head.cls_convs:
        conv[0].bias.data[::11] += 60
    end_to_end = deployed(model)
    (entry,) = items(cfg, random_images())
    (sample,) = predictions(model, [entry])
    assert (sample.pred_instances.scores > 0.999).all()
    run = in_pytorch(end_to_end)

    decode = in_pytorch(deployed(model, 'decode'))

    def ordered_otherwise(images, offset=0.0):
        outputs = {name: torch.from_numpy(output) for name, output in decode(images).items()}
        boxes, scores = outputs['boxes'].flip(1) + offset, outputs['scores'].flip(2)
        return dict(detections=end_to_end.suppress(boxes, scores)[0].numpy())

    exact = run(entry['inputs'][None].float().numpy())['detections']
    other = ordered_otherwise(entry['inputs'][None].float().numpy())['detections']
    assert exact.shape != other.shape or abs(exact - other).max() > 1
    result = compare(end_to_end, ordered_otherwise, model, entry)
    assert result.differences == [] and result.ties > 0
    result = compare(end_to_end, lambda images: ordered_otherwise(images, 5.0), model, entry)
    assert len(result.differences) > 10


def test_outputs_are_compared_by_their_scale(models):
    for name, output in (('ssd_hardnet', 'deltas1'), ('fchardnet70', 'logits')):
        model, cfg = models(name)
        end_to_end = deployed(model, 'network')
        (entry,) = items(cfg, random_images())
        run = in_pytorch(end_to_end)

        def changed(images, run=run, output=output):
            outputs = run(images)
            outputs[output] *= 1.01
            return outputs

        assert compare(end_to_end, run, model, entry).distances['outputs, relative'] == 0
        distance = compare(end_to_end, changed, model, entry).distances['outputs, relative']
        assert distance == pytest.approx(0.01, rel=0.01)


def test_pixels_between_two_classes_are_no_fault():
    logits = torch.tensor([[5.0, 1.0, 2.0], [1.0, 5.0, 2.001]])[:, None]
    labels = logits.argmax(0, keepdim=True)
    wanted = SegDataSample(seg_logits=PixelData(data=logits), pred_sem_seg=PixelData(data=labels))
    found = SegDataSample()
    found.pred_sem_seg = PixelData(data=torch.tensor([[[0, 1, 0]]]))
    assert compare_maps(found, wanted) == 0
    found.pred_sem_seg = PixelData(data=torch.tensor([[[0, 0, 1]]]))
    assert compare_maps(found, wanted) == pytest.approx(1 / 3)


def test_a_classifier_is_compared_by_its_scores(models):
    model, cfg = models('hardnet39ds')
    end_to_end = deployed(model)
    entries = items(cfg, random_images(2))
    outputs = in_pytorch(end_to_end)(entries[0]['inputs'][None].float().numpy())
    assert compare(end_to_end, lambda images: outputs, model, entries[0]).distances['scores'] < 1e-5
    assert compare(end_to_end, lambda images: outputs, model, entries[1]).distances['scores'] > 1e-3
