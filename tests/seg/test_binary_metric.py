"""Against maps computed by hand, and against the programs' definitions, pixel by pixel."""

import math
import sys

import numpy as np
import pytest
import torch

from hardnet_mm.seg import BinaryMaskMetric
from hardnet_mm.seg.binary_metric import at_all_thresholds, at_threshold, saliency_of, stretched
from hardnet_mm.utils.errors import InputError

# 2 x 4 pixels: three are foreground, four are found, two of them rightly
MASK = np.array([[1, 1, 1, 0], [0, 0, 0, 0]], bool)
FOUND = np.array([[0, 1, 1, 1], [1, 0, 0, 0]], bool)
EMPTY, FULL = MASK & False, MASK | True


@pytest.mark.parametrize(
    'found, mask, wanted',
    [
        (FOUND, MASK, dict(mDice=4 / 7, mIoU=2 / 5, Precision=2 / 4, Recall=2 / 3, F2=10 / 16)),
        (MASK, MASK, dict(mDice=1, mIoU=1, Precision=1, Recall=1, F2=1)),
        (FOUND & ~MASK, MASK, dict(mDice=0, mIoU=0, Precision=0, Recall=0, F2=0)),
        (EMPTY, MASK, dict(mDice=0, mIoU=0, Precision=0, Recall=0, F2=0)),
        (FOUND, EMPTY, dict(mDice=0, mIoU=0, Precision=0, Recall=0, F2=0)),
        (EMPTY, EMPTY, dict(mDice=1, mIoU=1, Precision=1, Recall=1, F2=1)),
        (FULL, MASK, dict(mDice=6 / 11, mIoU=3 / 8, Precision=3 / 8, Recall=1, F2=15 / 20)),
    ],
    ids='some all-right none-right nothing-found nothing-there both-empty everything'.split(),
)
def test_one_threshold(found, mask, wanted):
    wanted = dict(wanted, Accuracy=np.mean(found == mask))
    assert at_threshold(found, mask) == pytest.approx(wanted)


def test_f2_counts_recall_more():
    """(1 + 4) PR / (4P + R)."""
    values = at_threshold(FOUND, MASK)
    precision, recall = values['Precision'], values['Recall']
    assert values['F2'] == pytest.approx(5 * precision * recall / (4 * precision + recall))


def by_pranets_program(grey, mask):
    """Threshold by threshold, from 255 to 0 (its Fmeasure_calu.m)."""
    dice, iou = [], []
    for threshold in range(255, -1, -1):
        found = grey >= threshold
        both = np.sum(found & mask)
        dice.append(2 * both / (found.sum() + mask.sum()) if both else 0)
        iou.append(both / (found.sum() + mask.sum() - both) if both else 0)
    return dict(Dice=np.array(dice), IoU=np.array(iou))


@pytest.mark.parametrize('share', [0, 0.3, 1])
@pytest.mark.parametrize('levels', [256, 2, 1])
def test_all_thresholds_are_those_of_pranet(share, levels):
    """Masks with nothing, something and everything, on maps of many values and of few."""
    rng = np.random.default_rng(0)
    mask = rng.random((9, 11)) < share
    grey = stretched(rng.integers(0, levels, (9, 11)) / 255)
    found, wanted = at_all_thresholds(grey, mask), by_pranets_program(grey, mask)
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-12)
    if share == 0:
        assert not found['Dice'].any() and not found['IoU'].any()
    if share == 1:
        assert found['Dice'][-1] == 1  # at 0, all is foreground


def test_maps_are_stretched_to_8_bits():
    parts = np.array([[0.2, 0.3], [0.25, 0.6]], np.float32)
    np.testing.assert_array_equal(stretched(parts), [[0, 64], [32, 255]])
    for value in (0, 0.7, 1):  # a map of one value finds nothing, as PraNet stores it
        np.testing.assert_array_equal(stretched(np.full((2, 2), value, np.float32)), 0)


# The whole metric


def sample(probabilities, mask, path='data/A/images/1.png', logits=None):
    scores = torch.tensor(np.asarray(probabilities, np.float32))[None] if logits is None else logits
    mask = torch.tensor(np.asarray(mask, np.float32))[None]
    return dict(gt_sem_seg=dict(data=mask), seg_logits=dict(data=scores), img_path=path)


def measure(*samples, **options):
    metric = BinaryMaskMetric(**options)
    metric.process({}, list(samples))
    return metric.evaluate(len(samples))


def test_images_count_alike():
    """An image with much foreground and one with little, as IoUMetric does not count them."""
    found = measure(sample(FOUND * 0.9, MASK), sample(MASK * 0.9, MASK))
    assert found['mDice'] == pytest.approx(100 * (4 / 7 + 1) / 2, abs=0.01)
    assert found['Accuracy'] == pytest.approx(100 * (5 / 8 + 1) / 2, abs=0.01)
    # of two values: all thresholds but the last find the same
    assert found['maxDice'] == found['mDice']
    last = 6 / 11
    mean = (255 * (4 / 7 + 1) / 2 + last) / 256
    assert found['meanDice'] == pytest.approx(100 * mean, abs=0.01)


def test_means_are_over_images_before_thresholds():
    """The maximum of a mean, not the mean of maxima."""
    mask = np.array([[1, 1, 0, 0]], bool)
    low = [[0.5, 0.5, 0.4, 0.0]], [[1.0, 0.2, 0.0, 0.0]]
    found = measure(*(sample(p, mask) for p in low))
    curves = [by_pranets_program(stretched(np.array(p, np.float32)), mask) for p in low]
    mean = np.mean([curve['Dice'] for curve in curves], axis=0)
    assert found['maxDice'] == pytest.approx(100 * mean.max(), abs=0.01)
    assert found['maxDice'] < 99 < 100 * np.mean([curve['Dice'].max() for curve in curves])


def test_the_threshold_is_of_the_probability():
    faint = sample(MASK * 0.4, MASK)
    assert measure(faint)['mDice'] == 0
    assert measure(faint, threshold=0.3)['mDice'] == 100
    assert measure(faint)['maxDice'] == 100  # stretched, as PraNet's program has it


def test_soft_masks_are_foreground_above_128():
    soft = np.array([[129, 128, 255, 0]]) / 255
    found = measure(sample([[0.9, 0.1, 0.9, 0.1]], soft))
    assert found['mDice'] == 100


def test_two_channels_and_classes_alone():
    logits = torch.stack([torch.zeros(2, 4), torch.tensor(FOUND * 2.0 - 1)])
    two = measure(sample(None, MASK, logits=logits))
    alone = sample(None, MASK, logits=logits)
    del alone['seg_logits']
    alone['pred_sem_seg'] = dict(data=torch.tensor(FOUND)[None].long())
    assert two == measure(alone) and two['mDice'] == pytest.approx(100 * 4 / 7, abs=0.01)


def test_each_data_set_apart():
    samples = [sample(FOUND, MASK), sample(MASK, MASK, path='data/B/images/1.png')]
    found = measure(*samples, by_folder=True)
    assert found['A/mDice'] == pytest.approx(100 * 4 / 7, abs=0.01) and found['B/mDice'] == 100
    assert len(found) == 2 * len(measure(*samples))


def test_what_is_not_binary_is_refused():
    with pytest.raises(InputError, match='got 3 classes'):
        measure(sample(None, MASK, logits=torch.zeros(3, 2, 4)))
    with pytest.raises(InputError, match='0 to 1 is expected, got 0.0 to 2.0'):
        measure(sample(MASK, MASK * 2))
    with pytest.raises(InputError, match='images/1.png: the prediction has'):
        measure(sample(MASK[:1], MASK))


# By pysodmetrics: the definitions of PraNet's program, written out


def s_measure(grey, mask):
    """Of StructureMeasure.m, its rounding of halves included."""
    values = grey / 255
    if not mask.any() or mask.all():
        return values.mean() if mask.any() else 1 - values.mean()

    def of_object(part):
        return 2 * part.mean() / (part.mean() ** 2 + 1 + part.std(ddof=1))

    share = mask.mean()
    objects = share * of_object(values[mask]) + (1 - share) * of_object(1 - values[~mask])
    y, x = (math.floor(center + 1.5) for center in np.argwhere(mask).mean(axis=0))
    regions = 0
    for rows in (slice(0, y), slice(y, None)):
        for columns in (slice(0, x), slice(x, None)):
            a, b = values[rows, columns], mask[rows, columns].astype(float)
            if a.size:
                regions += a.size / values.size * similarity(a, b)
    return max(0, 0.5 * objects + 0.5 * regions)


def similarity(a, b):
    mean_a, mean_b, count = a.mean(), b.mean(), a.size - 1 or 1
    covariance = ((a - mean_a) * (b - mean_b)).sum() / count
    variance = (((a - mean_a) ** 2).sum() + ((b - mean_b) ** 2).sum()) / count
    above, below = 4 * mean_a * mean_b * covariance, (mean_a**2 + mean_b**2) * variance
    return above / below if above else float(below == 0)


def e_measure(grey, mask):
    """Of Enhancedmeasure.m, at each threshold."""
    values = []
    for threshold in range(255, -1, -1):
        found = (grey >= threshold).astype(float)
        if not mask.any():
            enhanced = 1 - found
        elif mask.all():
            enhanced = found
        else:
            a, b = mask - mask.mean(), found - found.mean()
            enhanced = (2 * a * b / (a * a + b * b + np.finfo(float).eps) + 1) ** 2 / 4
        values.append(enhanced.sum() / (mask.size - 1 + np.finfo(float).eps))
    return np.array(values)


def weighted_f_measure(grey, mask):
    """Of original_WFb.m; the nearest pixel of the foreground by looking at all."""
    errors = np.abs(grey / 255 - mask)
    there = np.argwhere(mask)
    near, distance = errors.copy(), np.zeros(mask.shape)
    for position in np.argwhere(~mask):
        distances = np.hypot(*(there - position).T)
        near[tuple(position)] = errors[tuple(there[distances.argmin()])]
        distance[tuple(position)] = distances.min()
    offsets = np.arange(-3, 4)
    kernel = np.exp(-(offsets[:, None] ** 2 + offsets**2) / 50)
    kernel /= kernel.sum()
    padded = np.pad(near, 3)
    smooth = np.array(
        [
            [(padded[y : y + 7, x : x + 7] * kernel).sum() for x in range(mask.shape[1])]
            for y in range(mask.shape[0])
        ]
    )
    least = np.where(mask & (smooth < errors), smooth, errors)
    weighted = least * np.where(mask, 1, 2 - np.exp(np.log(0.5) / 5 * distance))
    right = mask.sum() - weighted[mask].sum()
    eps = np.finfo(float).eps
    recall, precision = 1 - weighted[mask].mean(), right / (right + weighted[~mask].sum() + eps)
    return 2 * recall * precision / (recall + precision + eps)


def maps(kind):
    """A stretched map and a mask whose centre, 10.4, is not half a pixel."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:21, :26]
    mask = (abs(y - 10) < 5) & (abs(x - 12) < 7)
    mask[5, 5] = True  # so that no rounding is of a half
    grey = stretched(rng.random(mask.shape) * 0.5 + 0.5 * mask)
    if kind == 'one-value':
        grey = grey * 0
    if kind == 'right':
        grey = mask.astype(np.uint8) * 255
    return grey, dict(empty=mask & False, full=mask | True).get(kind, mask)


@pytest.mark.parametrize('kind', ['some', 'right', 'one-value', 'empty', 'full'])
def test_saliency_measures_are_those_of_pranet(kind):
    pytest.importorskip('py_sod_metrics')
    grey, mask = maps(kind)
    found, curve = saliency_of(grey, mask)
    assert found['MAE'] == pytest.approx(np.abs(grey / 255 - mask).mean())
    assert found['Smeasure'] == pytest.approx(s_measure(grey, mask))
    np.testing.assert_allclose(curve, e_measure(grey, mask), rtol=1e-9, atol=1e-9)
    if kind == 'empty':
        assert found['wFmeasure'] == 0
    elif kind != 'some':  # the errors of one row are alike: any nearest pixel will do
        assert found['wFmeasure'] == pytest.approx(weighted_f_measure(grey, mask))


def test_weighted_f_measure_where_one_pixel_is_nearest():
    pytest.importorskip('py_sod_metrics')
    rng = np.random.default_rng(0)
    mask = np.zeros((15, 17), bool)
    mask[:, 8:] = True  # from each pixel of the left, the nearest one is in its row
    grey = stretched(rng.random(mask.shape) * 0.6 + 0.4 * mask)
    found, _ = saliency_of(grey, mask)
    assert found['wFmeasure'] == pytest.approx(weighted_f_measure(grey, mask))


def test_where_saliency_measures_differ_from_pranet():
    """Where the foreground's centre is half a pixel, rounded to the even number and not up."""
    pytest.importorskip('py_sod_metrics')
    grey, _ = maps('some')
    mask = np.zeros(grey.shape, bool)
    mask[4:11, 5:7] = True  # columns 5 and 6: a centre of 5.5 goes to 6, either way
    assert saliency_of(grey, mask)[0]['Smeasure'] == pytest.approx(s_measure(grey, mask))
    mask = np.roll(mask, 1, axis=1)  # 6.5: to 6 here, to 7 there
    difference = saliency_of(grey, mask)[0]['Smeasure'] - s_measure(grey, mask)
    assert 0 < abs(difference) < 0.05


def test_saliency_measures_are_in_the_results():
    pytest.importorskip('py_sod_metrics')
    grey, mask = maps('some')
    found = measure(sample(grey / 255, mask), saliency_measures=True)
    assert found['Smeasure'] == pytest.approx(100 * s_measure(grey, mask), abs=0.01)
    assert found['maxEmeasure'] == pytest.approx(100 * e_measure(grey, mask).max(), abs=0.01)
    assert found['meanEmeasure'] < found['maxEmeasure']
    assert {'wFmeasure', 'MAE'} <= found.keys()


def test_saliency_measures_need_their_package(monkeypatch):
    monkeypatch.setitem(sys.modules, 'py_sod_metrics', None)
    with pytest.raises(ImportError, match=r'pip install hardnet_mm\[polyp\]'):
        BinaryMaskMetric(saliency_measures=True)
    BinaryMaskMetric()
