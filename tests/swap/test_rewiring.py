"""The channels of the modules that read a backbone's outputs; test_backbone.py has more."""

from mmengine.config import ConfigDict

from hardnet_mm.swap.rewiring import rewire


def test_channels_that_a_factor_multiplies():
    """As mmyolo's configs state them; YOLOv5's neck passes its inputs' widths on to its head."""
    stated = dict(in_channels=[256, 512, 1024], widen_factor=0.5)
    head = dict(type='YOLOv5Head', head_module=dict(type='YOLOv5HeadModule', **stated))
    neck = dict(type='YOLOv5PAFPN', out_channels=[256, 512, 1024], **stated)
    model = ConfigDict(backbone=dict(type='B'), neck=neck, bbox_head=head)
    rewire(model, (128, 256, 512), (320, 640, 1024))
    wanted = [640, 1280, 2048]
    assert model.neck.in_channels == model.neck.out_channels == wanted
    assert model.bbox_head.head_module.in_channels == wanted
