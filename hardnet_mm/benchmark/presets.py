"""Comparisons that are ready to run: configs and an image size (height, width) in pixels."""

MMSEG = 'mmseg::'
OWN = 'hardnet_mm::'
WIDER_MOBILENET = {'model.backbone.widen_factor': 1.4, 'model.head.in_channels': 1792}

PRESETS: dict[str, dict] = dict(
    # HarDNet and the backbones that its paper compares it with
    backbones=dict(
        size=(1024, 1024),
        configs={
            'HarDNet68': OWN + 'hardnet68_imagenet.py',
            'HarDNet85': OWN + 'hardnet85_imagenet.py',
            'ResNet-50': 'mmpretrain::resnet/resnet50_8xb32_in1k.py',
            'ResNet-101': 'mmpretrain::resnet/resnet101_8xb32_in1k.py',
            'VGG-16': 'mmpretrain::vgg/vgg16_8xb32_in1k.py',
        },
        # VGG's linear layers need images of 224 x 224, so it is measured without them
        options={'VGG-16': {'model.backbone.num_classes': -1, 'model.head': None}},
    ),
    mobile=dict(
        size=(320, 320),
        configs={
            'HarDNet39DS': OWN + 'hardnet39ds_imagenet.py',
            'HarDNet68DS': OWN + 'hardnet68ds_imagenet.py',
            'MobileNetV2 1.0': 'mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
            'MobileNetV2 1.4': 'mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
        },
        options={'MobileNetV2 1.4': WIDER_MOBILENET},
    ),
    detectors=dict(
        size=(512, 512),
        configs={
            'SSD512-HarDNet68': OWN + 'ssd512_hardnet68_coco.py',
            'SSD512-HarDNet85': OWN + 'ssd512_hardnet85_coco.py',
            'RFBNet512-HarDNet68': OWN + 'rfb512_hardnet68_coco.py',
            'RFBNet512-HarDNet85': OWN + 'rfb512_hardnet85_coco.py',
            'SSD512-VGG16': 'mmdet::ssd/ssd512_coco.py',
            'CenterNet-HarDNet85': OWN + 'centernet_hardnet85_coco.py',
            'CenterNet-R18': 'mmdet::centernet/centernet_r18_8xb16-crop512-140e_coco.py',
            'RetinaNet-R50': 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py',
            'YOLOX-s': 'mmdet::yolox/yolox_s_8xb8-300e_coco.py',
            'RTMDet-s': 'mmdet::rtmdet/rtmdet_s_8xb32-300e_coco.py',
        },
    ),
    segmentors=dict(
        size=(512, 1024),
        configs={
            'FC-HarDNet-70': OWN + 'fchardnet70_cityscapes.py',
            'BiSeNetV1-R18': MMSEG
            + 'bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024.py',
            'BiSeNetV2': MMSEG + 'bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024.py',
            'STDC1': MMSEG + 'stdc/stdc1_4xb12-80k_cityscapes-512x1024.py',
            'STDC2': MMSEG + 'stdc/stdc2_4xb12-80k_cityscapes-512x1024.py',
            'ICNet-R18': MMSEG + 'icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832.py',
            'DDRNet-23-slim': MMSEG
            + 'ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
            'PIDNet-S': MMSEG + 'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py',
        },
    ),
)
# HarDNet-MSEG and models of mmseg, at the size of the papers on polyps: 352 x 352, two classes
_TWO_CLASSES = {'model.decode_head.num_classes': 2, 'model.auxiliary_head': None}
PRESETS['polyps'] = dict(
    size=(352, 352),
    configs={
        'HarDNet-MSEG': OWN + 'mseg_hardnet68_kvasir.py',
        'UNet-FCN': MMSEG + 'unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128.py',
        'PSPNet-R18': MMSEG + 'pspnet/pspnet_r18-d8_4xb2-80k_cityscapes-512x1024.py',
        'BiSeNetV2': PRESETS['segmentors']['configs']['BiSeNetV2'],
    },
    options={
        'UNet-FCN': {'model.test_cfg': dict(mode='whole', _delete_=True)},
        'PSPNet-R18': _TWO_CLASSES,
        'BiSeNetV2': _TWO_CLASSES,
    },
)
# The measurements that the originals' authors made: random images, many runs.
PRESETS['original'] = dict(
    size=(1024, 1024),
    runs=300,
    configs={name: PRESETS['backbones']['configs'][name] for name in ('HarDNet68', 'HarDNet85')},
)
PRESETS['original-ds'] = dict(
    size=(320, 320),
    runs=500,
    configs={name: PRESETS['mobile']['configs'][name] for name in ('HarDNet39DS', 'HarDNet68DS')},
)
