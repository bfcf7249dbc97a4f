"""Exporting a whole model, comparing the file with PyTorch, and running it in its place."""

import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .formats import FORMATS

# How far an exported file may be from PyTorch: what compare() returns.
TOLERANCES = {'scores': 1e-3, 'boxes, pixels': 0.1, 'count': 0, 'labels, share': 1e-3}


def export(whole, images, path, name, quantize=None, check=None):
    """Write a whole model in a format, whole or not at all.

    Args:
        whole (WholeModel): The model.
        images (Tensor): Real images ``(N, 3, H, W)``, at the size to export for.
        path (Path): The file to write, with the suffix of its format.
        name (str): Name of the format, of :data:`FORMATS`.
        quantize (callable, optional): Rewrites the file at a path in int8.
        check (callable, optional): Gets the path of the finished file before it is in place, and
            raises where it is not right.

    Returns:
        list[Path]: What was written: some formats have weights or names in a file beside.
    """
    kind = FORMATS[name]
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix='.export-', dir=path.parent) as folder:
        new = Path(folder, path.name)
        kind.convert(whole, images, new)
        if quantize is not None:
            quantize(new)
        if check is not None:
            check(new)
        files = sorted(Path(folder).iterdir(), key=lambda file: file == new)
        for file in files:
            os.replace(file, path.with_name(file.name))  # the one that users name comes last
    return [path.with_name(file.name) for file in files]


def compare(found, wanted):
    """Return how far one image's prediction is from another, by :data:`TOLERANCES`' names.

    Args:
        found (DataElement): A data sample with predictions.
        wanted (DataElement): Another one.
    """
    if 'pred_sem_seg' in wanted:
        differ = found.pred_sem_seg.data.cpu() != wanted.pred_sem_seg.data.cpu()
        return {'labels, share': differ.float().mean().item()}
    if 'pred_score' in wanted:
        return {'scores': (found.pred_score - wanted.pred_score).abs().max().item()}
    found, wanted = found.pred_instances, wanted.pred_instances
    result = {'count': abs(len(found) - len(wanted)), 'scores': 0.0, 'boxes, pixels': 0.0}
    for instance in range(min(len(found), len(wanted))):
        # equal scores may come in either order: the nearest box of the class is the same one
        same = (wanted.labels == found.labels[instance]).nonzero()[:, 0]
        if not len(same):
            return {**result, 'boxes, pixels': float('inf')}
        distances = (wanted.bboxes[same] - found.bboxes[instance]).abs().amax(dim=1)
        distance, nearest = distances.min(dim=0)
        score = abs(wanted.scores[same[nearest]] - found.scores[instance]).item()
        result['boxes, pixels'] = max(result['boxes, pixels'], distance.item())
        result['scores'] = max(result['scores'], score)
    return result


class ExportedModel(nn.Module):
    """An exported file in the model's place in a runner's test loop.

    Args:
        whole (WholeModel): The model that was exported, for what the file does not hold.
        runtime (callable): The loaded file.
    """

    def __init__(self, whole, runtime):
        super().__init__()
        self.whole, self.runtime = whole, runtime

    def test_step(self, data):
        """Return the data samples of a batch with their predictions."""
        images = torch.stack(list(data['inputs'])).float().numpy()
        return self.whole.attach(self.runtime(np.ascontiguousarray(images)), data['data_samples'])
