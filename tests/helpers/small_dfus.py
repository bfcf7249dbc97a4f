"""HarDNet-DFUS as small as its attention allows: 64 heads of two channels."""

from importlib.util import find_spec

if find_spec('mmseg'):  # the backbone alone is tested without it
    import hardnet_mm.seg  # noqa: F401, it registers the head

SMALL_ARCH = dict(
    stem_channels=(6, 12),
    num_layers=(3, 3, 4, 3, 3),
    out_nodes=((2,), (2,), (2, 3), (1,), (2,)),
    transition_channels=(12, 24, 24, 24, 40),
    downsample=(1, 0, 1, 1, 0),
)
CHANNELS = (18, 24, 24, 40)  # at strides 4, 8, 16, 32

BACKBONE = dict(type='HarDNetV2', arch=SMALL_ARCH, out_indices=('block0', 1, 2, 3))
HEAD = dict(in_channels=CHANNELS, channels=128, embed_channels=32, low_level_channels=8)
# in the text of a config that inherits a published model's
SMALL_PARTS = f'backbone=dict(_delete_=True, **{BACKBONE}), decode_head={HEAD}'

SMALL_DFUS = dict(
    default_scope='mmseg',
    model=dict(
        type='EncoderDecoder',
        data_preprocessor=dict(
            type='SegDataPreProcessor',
            mean=[120.0] * 3,
            std=[60.0] * 3,
            bgr_to_rgb=True,
            size_divisor=64,
            seg_pad_val=0,
            test_cfg=dict(size_divisor=64),
        ),
        backbone=BACKBONE,
        decode_head=dict(type='LawinHead', **HEAD),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
)
