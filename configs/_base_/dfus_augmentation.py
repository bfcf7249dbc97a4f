# HarDNet-DFUS's augmentation without its crops: flips, rotations, holes and colour changes. (In the
# original half of the images have holes or noise. Here a quarter have holes, and none have noise.)
augmentation = [
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='RandomShiftScaleRotate', prob=0.5, shift=0.1, scale=0.1, degree=45),
    dict(type='RandomCutOut', prob=0.25, n_holes=8, cutout_shape=(20, 20)),
    dict(
        type='RandomApply',
        prob=0.3,
        transforms=[
            dict(
                type='PillowColorJitter', brightness=0.5, contrast=0.5, saturation=0, hue=0, prob=1
            )
        ],
    ),
]
