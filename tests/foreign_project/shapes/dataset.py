"""Noisy images of one square or one circle."""

import numpy as np
import torch
from torch.utils.data import Dataset

from .registry import DATASETS


@DATASETS.register_module()
class Shapes(Dataset):
    """Images (3, 32, 32) and labels: 0 a square, 1 a circle."""

    def __init__(self, length, seed):
        self.length, self.seed = length, seed

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        rng = np.random.default_rng([self.seed, index])
        y, x = np.mgrid[:32, :32] - rng.integers(10, 22, 2)[:, None, None]
        label, size = index % 2, rng.integers(6, 10)
        distance = np.hypot(x, y) if label else np.maximum(abs(x), abs(y))
        image = (distance < size) + rng.normal(0, 0.2, (3, 32, 32))
        return dict(image=torch.from_numpy(image).float(), label=label)
