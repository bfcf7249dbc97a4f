# What the configs of the digits' images share: a small HarDNet, and a schedule of minutes.
digits_arch = dict(
    stem_channels=(16, 32),
    stem_strides=(2, 2),
    stem_pool=False,
    growth_multiplier=1.7,
    growth_rates=(8, 16, 24),
    num_layers=(4, 8, 8),
    transition_channels=(48, 128, 192),
    downsample=(1, 1, 0),
)
digits_epochs = 5  # of 300 iterations, on the 2,400 images that digits.py makes
digits_schedule = [
    dict(type='LinearLR', start_factor=0.01, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type='CosineAnnealingLR',
        T_max=digits_epochs - 1,
        eta_min_ratio=1e-3,
        begin=1,
        end=digits_epochs,
        convert_to_iter_based=True,
    ),
]
