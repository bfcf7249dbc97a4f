# Colonoscopy images, in the layout of tools/dataset_converters/polyp.py. They are resized to 352 x
# 352 by Pillow, with antialiasing, and have soft masks.
scale = (352, 352)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadBinaryMask', soft=True),
    dict(type='ResizeSoftMask', scale=scale, backend='pillow'),
    dict(type='PackSoftMask'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, backend='pillow'),
    dict(type='LoadBinaryMask', soft=True),
    dict(type='PackSoftMask'),
]
dataset = dict(type='PolypDataset', data_root='data/polyps')
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        data_prefix=dict(img_path='kvasir-880/images', seg_map_path='kvasir-880/masks'),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        data_prefix=dict(img_path='kvasir-120/images', seg_map_path='kvasir-120/masks'),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='BinaryMaskMetric')
# saliency_measures=True adds the metrics of pysodmetrics: `pip install hardnet_mm[polyp]`
test_evaluator = val_evaluator
