"""Measures of masks of one foreground, as the polyp papers have them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..registry import METRICS
from ..utils.errors import InputError

LEVELS = 256  # grey levels of a stored map, and thresholds


@METRICS.register_module()
class BinaryMaskMetric(BaseMetric):
    """Measures of a foreground, image by image, averaged over images; all in per cent.

    mmseg's ``IoUMetric`` counts the pixels of a whole data set together, and averages over the
    background, too.

    At one threshold of the probability: ``mDice``, ``mIoU``, ``Precision``, ``Recall``, ``F2`` and
    ``Accuracy``. Of an image where neither the mask nor the prediction has foreground all are 1.
    Where one of them alone has, Dice, IoU and F2 are 0, and so is what would be divided by 0.

    At 256 thresholds, as PraNet's program has them: ``meanDice``, ``meanIoU``, ``maxDice`` and
    ``maxIoU``. An image's map of probabilities is stretched to 0..1, the least becoming 0, and
    rounded to 8 bits, as it is stored there; a map of one value becomes 0. At each of the
    thresholds 1, 254/255, ... 0 what reaches it is foreground. Where it has no pixel in common with
    the mask, Dice and IoU are 0, whether the mask is empty or not. They are averaged over images
    before the mean and the maximum over thresholds are taken.

    With ``saliency_measures``, by pysodmetrics, of the same stretched maps: ``wFmeasure``,
    ``Smeasure``, ``meanEmeasure``, ``maxEmeasure`` and ``MAE``.

    A pixel of a mask is foreground where it exceeds 128/255. Predictions are ``seg_logits``, the
    probabilities of a model with one channel or the logits of one with two; of a model that gives
    classes alone, as an exported one does, a map has two values.

    Args:
        threshold (float): Probability above which a pixel is foreground. Defaults to 0.5.
        saliency_measures (bool): Whether to compute those of pysodmetrics. Defaults to False.
        by_folder (bool): Whether to give the figures of each data set apart, under its name: that
            of the folder that holds the one of the images, ``NAME/images/...``. Defaults to False.
        **kwargs: The other arguments of mmengine's ``BaseMetric``.

    Raises:
        ImportError: If pysodmetrics is asked for and not installed.
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
        """Measure a batch's predictions.

        Args:
            data_batch (dict): Not used.
            data_samples (Sequence[dict]): Each with ``gt_sem_seg`` and ``seg_logits`` or
                ``pred_sem_seg``, of one size.
        """
        for sample in data_samples:
            mask = _foreground(sample['gt_sem_seg']['data'])
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
        """Average over the images, all of them or those of each data set."""
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


def _foreground(mask: Tensor) -> np.ndarray:
    """Return where a mask is foreground, ``(H, W)`` bool."""
    mask = mask.squeeze(0).cpu()
    if mask.max() > 1 or mask.min() < 0:
        raise InputError(
            f'a mask of 0 to 1 is expected, got {mask.min()} to {mask.max()}: LoadBinaryMask reads '
            'masks of one foreground'
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
    """Return the measures of an image at one threshold, from 0 to 1.

    Args:
        predicted (np.ndarray): Where foreground is predicted, ``(H, W)`` bool.
        mask (np.ndarray): Where it is, likewise.
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
    """Return a map stretched to 0..255 and rounded, uint8; a map of one value becomes 0."""
    least, most = float(probabilities.min()), float(probabilities.max())
    if least == most:
        return np.zeros(probabilities.shape, np.uint8)
    parts = (probabilities.astype(np.float64) - least) / (most - least)
    return np.rint(255 * parts).astype(np.uint8)


def at_all_thresholds(grey: np.ndarray, mask: np.ndarray) -> dict[str, np.ndarray]:
    """Return an image's Dice and IoU at the thresholds 255, 254, ... 0, as PraNet's program.

    Args:
        grey (np.ndarray): The stretched map, ``(H, W)`` uint8.
        mask (np.ndarray): Where foreground is, ``(H, W)`` bool.
    """
    found, counts = (
        np.bincount(levels, minlength=LEVELS)[::-1].cumsum()
        for levels in (grey.ravel(), grey[mask])
    )
    total = found + np.count_nonzero(mask)  # never 0 where there is something in common
    return dict(Dice=2 * counts / np.maximum(total, 1), IoU=counts / np.maximum(total - counts, 1))


def saliency_of(grey: np.ndarray, mask: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return an image's measures by pysodmetrics, and its E-measure at each threshold.

    They are those of PraNet's program but for three cases, all of a few pixels. The S-measure
    divides an image at the foreground's centre, rounded: half a pixel goes to the even number here,
    and up there. Of the weighted F-measure, the pixel of the foreground that is nearest is one of
    several where distances are equal; which one, is the library's. And of an empty mask it is 0
    here, and not a number there.

    Args:
        grey (np.ndarray): The stretched map, ``(H, W)`` uint8.
        mask (np.ndarray): Where foreground is, ``(H, W)`` bool.
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
