"""What finds contours on any backbone, and a pair of which one teaches the other."""

from mmengine.model import BaseModel, BaseModule
from mmengine.runner import load_checkpoint
from torch import nn
from torch.nn import functional

from .registry import MODELS


@MODELS.register_module()
class ContourHead(BaseModule):
    """A map of one channel at the first level's stride.

    Its widths are told, or read from the backbone.
    """

    def __init__(self, in_channels=None, backbone=None):
        super().__init__()
        widths = in_channels or backbone.feat_channels
        self.convs = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in widths)

    def forward(self, features):
        maps = [conv(feature) for conv, feature in zip(self.convs, features)]
        return sum(functional.interpolate(one, maps[0].shape[-2:]) for one in maps)


@MODELS.register_module()
class ContourFinder(BaseModel):
    """The backbone is its ``encoder``, or its ``backbone``."""

    def __init__(self, head, encoder=None, backbone=None, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(encoder or backbone)
        reads = {} if 'in_channels' in head else dict(backbone=self.backbone)
        self.head = MODELS.build(dict(head, **reads))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        found = self.head(self.backbone(inputs))
        if mode == 'loss':
            return dict(loss=found.square().mean())
        return found


@MODELS.register_module()
class TaughtFinder(BaseModel):
    """The student learns what its teacher finds. ``teacher_ckpt`` has the teacher's weights."""

    def __init__(self, student, teacher, teacher_ckpt=None, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.student, self.teacher = MODELS.build(student), MODELS.build(teacher)
        if teacher_ckpt is not None:
            load_checkpoint(self.teacher, teacher_ckpt)

    def train(self, mode=True):  # returns nothing
        super().train(mode)
        self.teacher.eval()

    def forward(self, inputs, data_samples=None, mode='tensor'):
        found = self.student(inputs)
        if mode == 'loss':
            return dict(loss=(found - self.teacher(inputs).detach()).square().mean())
        return found
