"""A backbone of its own, and what classifies on any backbone."""

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, BaseModule
from torch import nn
from torch.nn import functional

from .registry import METRICS, MODELS


@MODELS.register_module()
class PlainNet(BaseModule):
    """Two strided convolutions."""

    def __init__(self, width=16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, stride=4, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, stride=4, padding=1),
            nn.ReLU(),
        )

    def forward(self, x):
        return (self.layers(x),)


@MODELS.register_module()
class ShapeClassifier(BaseModel):
    """Global average pooling and a linear layer on the backbone's last output."""

    def __init__(self, backbone, channels):
        super().__init__()
        self.backbone = MODELS.build(backbone)
        self.linear = nn.Linear(channels, 2)

    def forward(self, image, label, mode='tensor'):
        scores = self.linear(self.backbone(image)[-1].mean(dim=(2, 3)))
        if mode == 'loss':
            return dict(loss=functional.cross_entropy(scores, label))
        return [dict(right=bool(s.argmax() == wanted)) for s, wanted in zip(scores, label)]


@METRICS.register_module()
class Accuracy(BaseMetric):
    """The share of images that are told right."""

    def process(self, data_batch, data_samples):
        self.results += [sample['right'] for sample in data_samples]

    def compute_metrics(self, results):
        return dict(accuracy=torch.tensor(results).float().mean().item())
