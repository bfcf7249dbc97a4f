"""The systems of this package, each small enough to compare a training step on two devices."""

import copy
import functools
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData, PixelData

from hardnet_mm.utils.configs import build_model, read_config
from helpers.exported import filled

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class System:
    """A model to train and test.

    Attributes:
        small (str): Its config, a path in configs/, that a CPU trains a step of in no time.
        small_size (tuple[int]): Height and width of its images, as small as it takes.
        published (str): A config of the same parts, of a published model.
        size (tuple[int]): Likewise.
        options (dict): Settings of both.
    """

    small: str
    small_size: tuple
    published: str
    size: tuple
    options: dict = field(default_factory=dict)


# A loss that keeps the hardest pixels, and as many as the image has, is one of all pixels.
LEAST = {'model.decode_head.loss_decode.min_kept': 1000}
SYSTEMS = dict(
    classifier=System('hardnet68_imagenet.py', (96, 128), 'hardnet85_imagenet.py', (128, 128)),
    depthwise=System(
        'digits/hardnet39ds_digits.py', (64, 64), 'hardnet68ds_imagenet.py', (128, 128)
    ),
    ssd=System('digits/ssd_hardnet_digits.py', (128, 128), 'ssd512_hardnet68_coco.py', (512, 512)),
    rfb=System('digits/rfb_hardnet_digits.py', (128, 128), 'rfb512_hardnet68_coco.py', (512, 512)),
    centernet=System(
        'digits/centernet_hardnet_digits.py', (64, 96), 'centernet_hardnet85_coco.py', (128, 160)
    ),
    fchardnet=System(
        'digits/fchardnet70_digits.py',
        (64, 96),
        'fchardnet70_cityscapes.py',
        (256, 384),
        LEAST,
    ),
    mseg=System('digits/mseg_hardnet_digits.py', (64, 96), 'mseg_hardnet68_kvasir.py', (128, 160)),
)


def build(name, published=False, **options):
    """Return a system's model on stand-in weights, its config, and a training batch on the CPU.

    Args:
        name (str): Of :data:`SYSTEMS`.
        published (bool): Whether to take the larger model.
        **options: Settings of the config, dots as ``__``.
    """
    model, cfg, size = copy.deepcopy(_built(name, published, tuple(sorted(options.items()))))
    return model, cfg, batch_of(cfg, size)


@functools.lru_cache(maxsize=16)
def _built(name, published, options):
    system = SYSTEMS[name]
    config, size = system.small, system.small_size
    if published:
        config, size = system.published, system.size
    cfg = read_config(str(ROOT / 'configs' / config), dict(system.options))
    cfg.merge_from_dict({key.replace('__', '.'): value for key, value in options})
    model = filled(build_model(cfg))
    for module in model.modules():  # what is drawn at random differs between devices
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
    model.data_preprocessor.batch_augments = None  # asks the runner for the iteration
    return model, cfg, size


def batch_of(cfg, size):
    """Return what a data loader gives: two images of random noise, and annotations."""
    generator = torch.Generator().manual_seed(0)
    images = [
        torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for _ in range(2)
    ]
    meta = dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0), batch_input_shape=size)
    if 'head' in cfg.model:
        meta['num_classes'] = cfg.model.head.num_classes
    if 'decode_head' in cfg.model:
        meta['num_classes'] = cfg.model.decode_head.get('num_classes', 2)
    return dict(
        inputs=images, data_samples=[SAMPLES[cfg.default_scope](i, size, meta) for i in range(2)]
    )


def _detection(number, size, meta):
    from mmdet.structures import DetDataSample

    boxes = torch.tensor([[4.0, 6, 40, 30], [20, 10, 60, 56], [1, 1, 12, 16]])[: 3 - number]
    labels = torch.tensor([3, 0, 5])[: 3 - number]
    sample = DetDataSample(metainfo=dict(meta, img_id=number, pad_shape=size))
    sample.gt_instances = InstanceData(bboxes=boxes + 2 * number, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
    return sample


def _segmentation(number, size, meta):
    from mmseg.structures import SegDataSample

    classes = (torch.arange(size[0])[:, None] // 16 + torch.arange(size[1]) // 16 + number) % 7
    classes %= meta['num_classes']
    if meta['num_classes'] > 2:  # a mask of foreground leaves no pixel out
        classes[:4] = 255
    sample = SegDataSample(metainfo=meta)
    sample.gt_sem_seg = PixelData(data=classes[None])
    return sample


def _classification(number, size, meta):
    from mmpretrain.structures import DataSample

    return DataSample(metainfo=meta).set_gt_label(number + 3)


SAMPLES = dict(mmdet=_detection, mmseg=_segmentation, mmpretrain=_classification)


def loss_of(model, cfg, batch):
    """Return the sum of a training batch's losses, ready for ``backward``."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        data = model.data_preprocessor(copy.deepcopy(batch), True)
        return model.parse_losses(model(**data, mode='loss'))[0]


def predict(model, cfg, batch):
    """Return the predictions of a batch, on the CPU."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope), torch.no_grad():
        data = model.eval().data_preprocessor(copy.deepcopy(batch), False)
        return [sample.cpu() for sample in model(**data, mode='predict')]


def gradients(model):
    """Return all gradients as one vector, float64 on the CPU."""
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.cat([grad.detach().cpu().double().flatten() for grad in grads])


def values(sample):
    """Return the numbers that a prediction is of: scores, and boxes where there are any."""
    if hasattr(sample, 'seg_logits'):
        return dict(scores=sample.seg_logits.data)
    if hasattr(sample, 'pred_instances'):
        found = sample.pred_instances
        return dict(scores=found.scores, boxes=found.bboxes, labels=found.labels)
    return dict(scores=sample.pred_score)
