"""Metrics of masks with one foreground class, as in the polyp papers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric

from ..registry import METRICS
from ..utils.errors import InputError

LEVELS = 256  # grey levels of a stored map, and thresholds


@METRICS.register_module()
class BinaryMaskMetric(BaseMetric):
    """Metrics of one foreground class, computed per image and averaged over images, in per cent.

    mmseg's ``IoUMetric`` accumulates the pixels of all images instead, and averages over foreground
    and background.

    At one threshold of the probability, the metrics are ``mDice``, ``mIoU``, ``Precision``,
    ``Recall``, ``F2`` and ``Accuracy``. If neither the mask nor the prediction of an image has
    foreground, all are 1. If only one of them has foreground, Dice, IoU and F2 are 0. A quotient
    with the denominator 0 is 0.

    At 256 thresholds, as in PraNet's program, they are ``meanDice``, ``meanIoU``, ``maxDice`` and
    ``maxIoU``. An image's map of probabilities is first scaled so that its minimum becomes 0 and
    its maximum 1, and rounded to 8 bits. A constant map becomes 0. Then a pixel is foreground at a
    threshold (1, 254/255, ... 0) if its value is at least that threshold. If prediction and mask
    have no pixel in common, Dice and IoU are 0, also for an empty mask. Both are averaged over
    images, and then the mean and the maximum over thresholds are taken.

    With ``saliency_measures``, pysodmetrics computes ``wFmeasure``, ``Smeasure``, ``meanEmeasure``,
    ``maxEmeasure`` and ``MAE`` of the same scaled maps.

    A pixel of a mask is foreground if it exceeds 128/255. Predictions are ``seg_logits``: the
    probabilities of a model with one channel, or the logits of a model with two. For a model that
    only returns classes, such as an exported one, the map has the values 0 and 1.

    Args:
        threshold (float): Probability above which a pixel is foreground. Defaults to 0.5.
        saliency_measures (bool): Whether to compute the metrics of pysodmetrics. Defaults to False.
        by_folder (bool): Whether to report each data set separately, under the name of its folder:
            ``NAME`` in ``NAME/images/...``. Defaults to False.
        **kwargs: The other arguments of mmengine's ``BaseMetric``.

    Raises:
        ImportError: If ``saliency_measures`` is set and pysodmetrics is not installed.
    """

    default_prefix = None

    def __init__(
        self,
        threshold: float = 0.5,
        saliency_measures: bool = False,
        by_folder: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if saliency_measures:
            _import_pysodmetrics()
        self.threshold = threshold
        self.saliency_measures = saliency_measures
        self.by_folder = by_folder

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Compute the metrics of each image in a batch.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Each has ``gt_sem_seg``, and ``seg_logits`` or
                ``pred_sem_seg`` of the same size.
        """
        for sample in data_samples:
            mask = _foreground(sample)
            probabilities = _probabilities(sample)
            if mask.shape != probabilities.shape:
                raise InputError(
                    f'{sample.get("img_path")}: the prediction has {probabilities.shape} pixels '
                    f'and the mask {mask.shape}'
                )
            measures = at_threshold(probabilities > self.threshold, mask)
            grey = stretched(probabilities)
            curves = at_all_thresholds(grey, mask)
            if self.saliency_measures:
                saliency, curves['Emeasure'] = saliency_of(grey, mask)
                measures.update(saliency)
            name = Path(sample['img_path']).parents[1].name if self.by_folder else ''
            self.results.append((name, measures, curves))

    def compute_metrics(self, results: list) -> dict:
        """Average over all images, or with ``by_folder`` over those of each data set."""
        names = list(dict.fromkeys(name for name, _, _ in results))
        found = {}
        for name in names:
            of_name = [result[1:] for result in results if result[0] == name]
            prefix = f'{name}/' if name else ''
            averages = _averages(*zip(*of_name))
            found.update({f'{prefix}{key}': round(100 * v, 2) for key, v in averages.items()})
        return found


def _averages(measures, curves):
    found = {key: float(np.mean([each[key] for each in measures])) for key in measures[0]}
    for key in curves[0]:
        mean = np.mean([each[key] for each in curves], axis=0)
        found.update({f'mean{key}': float(mean.mean()), f'max{key}': float(mean.max())})
    return found


def _foreground(sample: dict) -> np.ndarray:
    """Return the foreground of a sample's mask, ``(H, W)`` bool."""
    mask = sample['gt_sem_seg']['data'].squeeze(0).cpu()
    if mask.max() > 1 or mask.min() < 0:
        raise InputError(
            f'{sample.get("seg_map_path")}: a mask of 0 to 1 is expected, got {mask.min()} to '
            f'{mask.max()}: LoadBinaryMask reads masks of one foreground'
        )
    return (mask > 128 / 255).numpy()


def _probabilities(sample: dict) -> np.ndarray:
    """Return the probability that a pixel is foreground, ``(H, W)`` float32."""
    if 'seg_logits' not in sample:
        return sample['pred_sem_seg']['data'].squeeze(0).float().cpu().numpy()
    scores = sample['seg_logits']['data']
    if len(scores) > 2:
        raise InputError(f'a background and one foreground are measured, got {len(scores)} classes')
    return (scores.softmax(dim=0)[1] if len(scores) == 2 else scores[0]).float().cpu().numpy()


def at_threshold(predicted: np.ndarray, mask: np.ndarray) -> dict[str, float]:
    """Return an image's metrics at one threshold, each from 0 to 1.

    Args:
        predicted (np.ndarray): Predicted foreground, ``(H, W)`` bool.
        mask (np.ndarray): Foreground of the mask, ``(H, W)`` bool.
    """
    both, found, there = (np.count_nonzero(x) for x in (predicted & mask, predicted, mask))
    empty = found == there == 0

    def share(part, whole):
        return 1.0 if empty else part / max(whole, 1)

    return dict(
        mDice=share(2 * both, found + there),
        mIoU=share(both, found + there - both),
        Precision=share(both, found),
        Recall=share(both, there),
        F2=share(5 * both, found + 4 * there),
        Accuracy=float(np.mean(predicted == mask)),
    )


def stretched(probabilities: np.ndarray) -> np.ndarray:
    """Scale a map to 0..255 and round it, uint8. A constant map becomes 0."""
    least, most = float(probabilities.min()), float(probabilities.max())
    if least == most:
        return np.zeros(probabilities.shape, np.uint8)
    parts = (probabilities.astype(np.float64) - least) / (most - least)
    return np.rint(255 * parts).astype(np.uint8)


def at_all_thresholds(grey: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return an image's Dice and IoU at the thresholds 255, 254, ... 0, as PraNet's program does.

    Args:
        grey (np.ndarray): The scaled map, ``(H, W)`` uint8.
        mask (np.ndarray): Foreground of the mask, ``(H, W)`` bool.
    """
    found, counts = (
        np.bincount(levels, minlength=LEVELS)[::-1].cumsum()
        for levels in (grey.ravel(), grey[mask])
    )
    total = found + np.count_nonzero(mask)  # never 0 where there is something in common
    return dict(Dice=2 * counts / np.maximum(total, 1), IoU=counts / np.maximum(total - counts, 1))


def saliency_of(grey: np.ndarray, mask: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return an image's metrics by pysodmetrics, and its E-measure at each threshold.

    They equal those of PraNet's program, with three exceptions. The S-measure divides the image at
    the rounded centre of the foreground. Half a pixel is rounded to the even number here, and up
    there. The weighted F-measure needs the nearest foreground pixel of each pixel. If several are
    equally near, the choice is that of the library. The weighted F-measure of an empty mask is 0
    here, and NaN there.

    Args:
        grey (np.ndarray): The scaled map, ``(H, W)`` uint8.
        mask (np.ndarray): Foreground of the mask, ``(H, W)`` bool.
    """
    library = _import_pysodmetrics()
    stored = mask.astype(np.uint8) * 255
    steppers = {
        name: getattr(library, kind)()
        for name, kind in dict(
            wFmeasure='WeightedFmeasure', Smeasure='Smeasure', MAE='MAE', Emeasure='Emeasure'
        ).items()
    }
    results = {}
    for name, stepper in steppers.items():
        stepper.step(grey, stored)
        (results[name],) = stepper.get_results().values()
    curve = results.pop('Emeasure')['curve']
    return {name: float(value) for name, value in results.items()}, curve


def _import_pysodmetrics():
    try:
        import py_sod_metrics
    except ImportError as error:
        raise ImportError(
            'saliency_measures needs pysodmetrics: pip install hardnet_mm[polyp] brings it',
            name='py_sod_metrics',
        ) from error
    return py_sod_metrics
