"""Random batches as the data loaders of the toolboxes give them.

Where the targets depend on the model, as keypoints' heatmaps and texts' maps do, a random sample
goes through the config's own training pipeline, less what reads files.
"""

import re

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import TRANSFORMS

from .places import kind_of
from .probe import preprocessor
from .world import scene

FRAMES = 32  # of a random video
TRIES = 100  # random samples, of which the training pipeline takes two
RGB = 3  # channels
ONE_CLASS = r"'num_classes': 1\b"
# What a transform that reads a file, or parts of a video, is called.
READERS = ('Load', 'Decord', 'PyAV', 'RawFrame', 'SampleFrames', 'UniformSample', 'DenseSample')
# And what would enlarge images, or reads objects of other scenes.
SLOW_OR_STORED = ('Resize', 'RandomResize', 'RandomChoiceResize', 'ObjectSample')


def takes_video(cfg, training):
    """Tell whether a model takes frames of a video. Some of mmdet's trackers train on images."""
    settings = preprocessor(cfg)
    on_images = training and settings.get('use_det_processor')
    return kind_of(settings) == 'TrackDataPreprocessor' and not on_images


def tracking_batch(cfg, size):
    """Return a video of two frames, the first of them the key frame, with boxes and masks."""
    from mmdet.testing import demo_track_inputs

    shape = (3, *size)
    return demo_track_inputs(num_frames=2, key_frames_inds=[0], image_shapes=shape, with_mask=True)


def mmdet_batch(cfg, size):
    """Return two images with boxes, and with masks and a panoptic map if the config loads some.

    A model that tells persons apart gets two images of each of two.
    """
    from mmdet.testing import demo_mm_inputs

    if kind_of(preprocessor(cfg)) == 'ReIDDataPreprocessor':
        from mmdet.structures import ReIDDataSample  # mmdet 3.1 and later

        samples = [ReIDDataSample().set_gt_label(person) for person in (0, 0, 1, 1)]
        return dict(inputs=images(size) + images(size), data_samples=samples)
    annotations = str(cfg.get('train_dataloader'))
    panoptic = 'LoadPanopticAnnotations' in annotations
    batch = demo_mm_inputs(
        2,
        [(3, *size)] * 2,
        num_classes=2,
        with_mask=panoptic or "'with_mask': True" in annotations,
        with_semantic=panoptic or "'with_seg': True" in annotations,
    )
    if re.search(ONE_CLASS, str(cfg.model)):
        for sample in batch['data_samples']:  # each box is of the second class
            sample.gt_instances.labels.zero_()
    return batch


def mmseg_batch(cfg, size):
    """Return two images, each pixel of one of two classes."""
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = [SegDataSample(metainfo=dict(img_shape=size, ori_shape=size)) for _ in range(2)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(0, 2, (1, *size)))
    return dict(inputs=images(size, image_channels(cfg)), data_samples=samples)


def mmpretrain_batch(cfg, size):
    """Return two images of the second class."""
    from mmpretrain.structures import DataSample

    samples = [DataSample().set_gt_label(1) for _ in range(2)]
    if "'use_soft': True" in str(cfg.model):  # it takes a score of each class, as of mixed images
        for sample in samples:
            sample.set_gt_score(torch.eye(cfg.model.head.num_classes)[1])
    return dict(inputs=images(size, image_channels(cfg)), data_samples=samples)


def mmrotate_batch(cfg, size):
    """Return two images with rotated boxes, or with quadrangles if the config's stay such."""
    from mmrotate.testing import demo_mm_inputs

    pipeline = str(cfg.get('train_dataloader'))
    quadrangles = "'box_type': 'qbox'" in pipeline and "'ConvertBoxType'" not in pipeline
    return demo_mm_inputs(
        2, [(3, *size)] * 2, num_classes=2, use_box_type=True, use_qbox=quadrangles
    )


def mmyolo_batch(cfg, size):
    """Return two images with boxes, stacked where its data loader has a collate function for it."""
    from mmdet.testing import demo_mm_inputs
    from mmyolo.datasets import yolov5_collate

    batch = demo_mm_inputs(2, [(3, *size)] * 2, num_classes=2, use_box_type=True)
    if 'collate_fn' not in cfg.train_dataloader:
        return batch
    return yolov5_collate([dict(inputs=i.float(), data_samples=s) for i, s in zip(*batch.values())])


def mmpose_batch(cfg, size):
    """Return two images of a person with 17 keypoints."""
    from mmpose.testing import get_coco_sample

    one = np.ones(1, dtype=np.float32)

    def sample():
        return dict(
            get_coco_sample(img_shape=size), id=0, img_id=0, img_path='random', bbox_score=one
        )

    return prepared(cfg, sample, category_id=1)


def mmaction_batch(cfg, size):
    """Return two videos of the second class."""
    settings = cfg.train_dataloader.dataset.pipeline
    sampler = next(part for part in settings if 'Sample' in part.type)
    clips = sampler.get('num_clips', 1), sampler.get('clip_len', 1)

    def sample():
        frames = list(np.random.randint(0, 256, (clips[0] * clips[1], *size, 3), dtype=np.uint8))
        return dict(
            imgs=frames, original_shape=size, img_shape=size, num_clips=clips[0],
            clip_len=clips[1], modality='RGB', label=1, start_index=0, total_frames=FRAMES,
        )  # fmt: skip

    return prepared(cfg, sample)


def mmocr_batch(cfg, size):
    """Return two images with three words."""

    def sample():
        corners = np.random.randint(8, min(size) // 2, (3, 2))
        boxes = np.concatenate([corners, corners + min(size) // 4], axis=1).astype(np.float32)
        return dict(
            img=np.random.randint(0, 256, (*size, 3), dtype=np.uint8), img_path='random',
            img_shape=size, ori_shape=size, gt_bboxes=boxes,
            gt_polygons=list(boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]]),
            gt_bboxes_labels=np.zeros(3, dtype=np.int64), gt_ignored=np.zeros(3, dtype=bool),
        )  # fmt: skip

    batch = prepared(cfg, sample)
    for packed in batch['data_samples']:
        packed.set_metainfo(dict(scale_factor=(1.0, 1.0)))  # packed in testing alone
    return batch


def mmdet3d_batch(cfg, size):
    """Return two scenes with two objects. Their images are not resized, so that they stay small."""
    label = 0 if re.search(ONE_CLASS, str(cfg.model)) else 1
    data = _training_data(cfg)
    return prepared(cfg, lambda: scene(data, size, label), skipped=(*READERS, *SLOW_OR_STORED))


BATCHES = dict(
    mmdet=mmdet_batch,
    mmseg=mmseg_batch,
    mmpretrain=mmpretrain_batch,
    mmrotate=mmrotate_batch,
    mmyolo=mmyolo_batch,
    mmpose=mmpose_batch,
    mmaction=mmaction_batch,
    mmocr=mmocr_batch,
    mmdet3d=mmdet3d_batch,
)


def image_channels(cfg):
    """Return the channels of a config's images: as many as there are means.

    A single mean may be all channels'. Then the backbone says.
    """
    mean = preprocessor(cfg).get('mean') or ()
    return len(mean) if len(mean) > 1 else (cfg.model.get('backbone') or {}).get('in_channels', RGB)


def images(size, channels=RGB):
    """Return two images, bytes of shape (channels, H, W)."""
    return [torch.randint(0, 256, (channels, *size), dtype=torch.uint8) for _ in range(2)]


def _training_data(cfg):
    """Return the settings of the first data set for training that has a pipeline."""
    settings = cfg.train_dataloader.dataset
    while 'pipeline' not in settings:
        settings = settings.get('dataset') or settings.datasets[0]
    return settings


def prepared(cfg, sample, skipped=READERS, **more):
    """Return two samples as the config's training pipeline and data loader make them.

    Args:
        cfg (Config): Its default scope is that of the transforms.
        sample (Callable): Returns a sample as the transforms that read files leave it.
        skipped (tuple[str]): What transforms that are left out begin with. Defaults to those that
            read files.
        more: What the data set adds.

    Raises:
        RuntimeError: If the pipeline drops nearly all of :data:`TRIES` random samples.
    """
    pipeline = _training_data(cfg).pipeline
    kept = [part for part in pipeline if not kind_of(part).startswith(skipped)]
    transforms = [TRANSFORMS.build(dict(part)) for part in kept]
    results = []
    for _ in range(TRIES):
        result = dict(sample(), **more)
        for transform in transforms:
            result = result and transform(result)  # some give up by None
        if result:
            results.append(result)
        if len(results) == 2:
            return pseudo_collate(results)
    raise RuntimeError(f'the training pipeline takes {len(results)} of {TRIES} random samples')
