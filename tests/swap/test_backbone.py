import pytest
from helpers.tiny_project import SCOPE
from mmengine.config import Config, ConfigDict

from hardnet_mm import HarDNet
from hardnet_mm.swap.backbone import select_levels, swap
from hardnet_mm.utils.configs import read_config

RETINANET = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'


def swapped(name, arch='hardnet68', **kwargs):
    return swap(read_config(name), arch, **kwargs)


def test_a_detector_with_a_neck():
    differences = swapped(RETINANET, 'hardnet85')
    assert differences['model'] == dict(
        backbone=dict(
            _delete_=True,
            type='HarDNet',
            arch='hardnet85',
            frozen_stages=1,
            norm_eval=True,
            init_cfg=dict(type='Pretrained', checkpoint='hardnet://hardnet85'),
        ),
        neck=dict(in_channels=[192, 320, 720, 1280]),
    )


def test_random_weights_are_not_frozen():
    caffe = 'mmdet::mask_rcnn/mask-rcnn_r50-caffe_fpn_1x_coco.py'
    for name, arch, options in (
        (caffe, 'hardnet68', dict(pretrained=False)),
        (caffe, 'fchardnet70', {}),  # no ImageNet classifier of it is published
    ):
        backbone = swapped(name, arch, **options)['model']['backbone']
        assert not {'init_cfg', 'frozen_stages', 'norm_eval'} & backbone.keys()
        assert backbone['norm_cfg']['requires_grad']


def test_images_are_normalized_as_the_weights_expect():
    caffe = 'mmdet::mask_rcnn/mask-rcnn_r50-caffe_fpn_1x_coco.py'
    preprocessor = swapped(caffe)['model']['data_preprocessor']
    assert preprocessor == dict(
        mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    )
    assert 'data_preprocessor' not in swapped(caffe, pretrained=False)['model']


def test_heads_without_a_neck():
    """A dilated ResNet under two heads, one of them fed by two levels."""
    name = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py'
    model = swapped(name)['model']
    assert model['decode_head'] == dict(in_channels=1024, c1_in_channels=128)
    assert model['auxiliary_head'] == dict(in_channels=640)
    assert model['pretrained'] is None
    assert (model['backbone']['strides'], model['backbone']['dilations']) == (
        (1, 2, 1, 1),
        (1, 1, 2, 4),
    )
    assert model['backbone']['norm_cfg'].type == 'SyncBN'


def test_the_head_of_hardnet_mseg_on_a_resnet(tmp_path):
    """Three levels, from stride 8 on; and back to what the published config has."""
    path = tmp_path / 'mseg_r50.py'
    path.write_text(
        "_base_ = 'hardnet_mm::mseg_hardnet68_kvasir.py'\n"
        'resnet = dict(_delete_=True, type="ResNetV1c", depth=50, out_indices=(1, 2, 3))\n'
        'model = dict(backbone=resnet, decode_head=dict(in_channels=(512, 1024, 2048)))\n'
    )
    for arch, channels in (('hardnet39ds', (320, 640, 1024)), ('hardnet85', (320, 720, 1280))):
        model = swapped(str(path), arch)['model']
        assert model['decode_head'] == dict(in_channels=channels)
        assert tuple(model['backbone']['out_indices']) == (1, 2, 3)


def test_a_head_behind_a_neck_of_any_width():
    differences = swapped('mmpretrain::resnet/resnet50_8xb32_in1k.py')
    assert differences['model']['head'] == dict(in_channels=1024)
    assert differences['model']['backbone']['out_indices'] == (3,)


def test_channels_in_another_order():
    """YOLOv3's neck reads the deepest level first."""
    model = swapped('mmdet::yolo/yolov3_d53_8xb8-320-273e_coco.py')['model']
    assert model['neck'] == dict(in_channels=[1024, 640, 320])


def test_heads_behind_a_neck_that_passes_outputs_on():
    """JPU puts its own output in the place of the last; the auxiliary head reads the one before."""
    model = swapped('mmseg::fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024.py')[
        'model'
    ]
    assert model['neck'] == dict(in_channels=(320, 640, 1024))
    assert model['auxiliary_head'] == dict(in_channels=640)
    assert 'decode_head' not in model


def test_a_recogniser_takes_the_first_of_a_tuple_from_backbones_of_mmpretrain():
    model = dict(type='Recognizer2D', backbone=dict(type='BareMap'), cls_head=dict(in_channels=8))
    cfg = Config(dict(default_scope=SCOPE, model=model))
    assert swap(cfg, 'hardnet39ds')['model']['backbone']['type'] == 'mmpretrain.HarDNet'
    cfg.model.type = 'ImageClassifier'
    assert swap(cfg, 'hardnet39ds')['model']['backbone']['type'] == 'HarDNet'


def test_images_of_a_pair_are_normalized_alike():
    backbone = dict(type='Pyramid', channels=(8,), strides=(4,), init_cfg=dict(type='Pretrained'))
    preprocessor = dict(mean=[0.0] * 6, std=[1.0] * 6, bgr_to_rgb=True)
    model = dict(type='Siamese', backbone=backbone, data_preprocessor=preprocessor)
    changed = swap(Config(dict(default_scope=SCOPE, model=model)), 'hardnet39ds')['model']
    assert changed['data_preprocessor'] == dict(
        mean=[123.675, 116.28, 103.53] * 2, std=[58.395, 57.12, 57.375] * 2
    )
    assert 'in_channels' not in changed['backbone']
    backbone['image_channels'] = 6
    changed = swap(Config(dict(default_scope=SCOPE, model=model)), 'hardnet39ds')['model']
    assert changed['backbone']['in_channels'] == 6


def test_grey_images_are_normalized_as_they_were():
    """RGB's means, taken off one channel, would make three of it."""
    backbone = dict(type='Pyramid', channels=(8,), strides=(4,), image_channels=1)
    backbone['init_cfg'] = dict(type='Pretrained')
    model = dict(type='M', backbone=backbone, data_preprocessor=dict(mean=[33.0], std=[79.0]))
    changed = swap(Config(dict(default_scope=SCOPE, model=model)), 'hardnet39ds')['model']
    assert changed['backbone']['in_channels'] == 1 and 'init_cfg' in changed['backbone']
    assert 'data_preprocessor' not in changed


def test_the_detector_of_a_semi_supervised_model():
    name = 'mmdet::soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py'
    model = swapped(name)['model']
    assert model['detector']['backbone']['type'] == 'HarDNet'
    assert model['detector']['neck'] == dict(in_channels=[128, 320, 640, 1024])
    assert set(model) == {'detector', 'data_preprocessor'}
    assert model['data_preprocessor']['data_preprocessor']['bgr_to_rgb']


def test_weights_of_the_whole_old_detector():
    """As mmdet's trackers start from. They would keep HarDNet's own from being loaded."""
    backbone = dict(type='Pyramid', channels=(8,), strides=(4,))
    weights = dict(type='Pretrained', checkpoint='old.pth')
    detector = dict(type='D', backbone=backbone, init_cfg=weights)
    model = dict(type='Tracker', detector=detector, init_cfg=weights)
    changed = swap(Config(dict(default_scope=SCOPE, model=model)), 'hardnet39ds')['model']
    assert changed['init_cfg'] is None and changed['detector']['init_cfg'] is None
    assert changed['detector']['backbone']['init_cfg']['checkpoint'] == 'hardnet://hardnet39ds'
    model['init_cfg'] = detector['init_cfg'] = dict(type='Xavier')
    changed = swap(Config(dict(default_scope=SCOPE, model=model)), 'hardnet39ds')['model']
    assert 'init_cfg' not in {**changed, **changed['detector'], **changed['detector']['backbone']}


def test_an_equal_number_elsewhere_stays():
    """RetinaNet's head reads 256 channels, as many as the neck gives and as the old stage had."""
    assert 'bbox_head' not in swapped(RETINANET)['model']


def classifier(backbone, head, **model):
    model = dict(type='ImageClassifier', backbone=backbone, head=head, **model)
    cfg = Config(dict(default_scope='mmpretrain', model=model))
    return swap(cfg, 'hardnet39ds')['model']


def test_a_vector_is_the_mean_of_the_feature_maps():
    head = dict(type='LinearClsHead', num_classes=5, in_channels=320)
    tokens = dict(type='TinyViT', arch='5m', img_size=(64, 64))
    model = classifier(tokens, head, neck=None)
    assert model['backbone']['out_indices'] == (3,)
    assert model['neck'] == dict(_delete_=True, type='GlobalAveragePooling')
    assert model['head'] == dict(in_channels=1024)


def test_a_classifier_inside_the_old_backbone():
    """As VGG and AlexNet have it."""
    backbone = dict(type=f'{SCOPE}.Vector', width=10, num_classes=10)
    model = classifier(backbone, dict(type='ClsHead', topk=(1,)))
    assert model['head'] == dict(type='LinearClsHead', num_classes=10, in_channels=1024)
    with pytest.raises(ValueError, match='a vector per image'):
        classifier(backbone, None)


def test_a_pooled_output_may_be_deeper_than_hardnets():
    levit = dict(type='LeViT', arch='128s', img_size=224, patch_size=16, out_indices=(2,))
    head = dict(type='LeViTClsHead', num_classes=5, in_channels=384)
    model = classifier(levit, head, neck=dict(type='GlobalAveragePooling'))
    assert model['backbone']['out_indices'] == (3,)
    assert model['head'] == dict(in_channels=1024)


def test_levels_by_stride():
    plain = ConfigDict(type='Any')
    assert select_levels(plain, (4, 8, 16, 32), 'hardnet68') == dict(out_indices=(0, 1, 2, 3))
    assert select_levels(plain, (8, 32), 'hardnet68') == dict(out_indices=(1, 3))
    assert select_levels(plain, (2, 4), 'hardnet68') == dict(out_indices=('stem1', 0))
    dilated = select_levels(plain, (4, 8, 8, 8), 'hardnet68')
    assert dilated == dict(out_indices=(0, 1, 2, 3), strides=[1, 2, 1, 1], dilations=[1, 1, 2, 4])
    assert HarDNet('hardnet68', **dilated).out_strides == (4, 8, 8, 8)
    for strides in ((8, 16, 32, 64), (1, 2), (4, 12)):
        with pytest.raises(ValueError, match='hardnet68 has 4 stages, at strides'):
            select_levels(plain, strides, 'hardnet68')


@pytest.mark.parametrize(
    'strides, dilations, wanted',
    [
        ((1, 2, 1), (1, 1, 1), dict(strides=(1, 2, 1, 2), dilations=(1, 1, 1, 1))),
        ((1, 2, 2), (1, 1, 1), {}),
        ((1, 2, 1, 1), (1, 1, 2, 4), dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))),
    ],
)
def test_levels_of_a_resnet_that_keeps_a_stride(strides, dilations, wanted):
    """With three stages, of which the last keeps the size without dilation, as BIT's."""
    resnet = ConfigDict(type='R', out_indices=(2,), strides=strides, dilations=dilations)
    levels = select_levels(resnet, (8 if wanted else 16,), 'hardnet39ds')
    assert levels == dict(out_indices=(2,), **wanted)
    assert HarDNet('hardnet39ds', **levels).out_strides == ((8,) if wanted else (16,))


def config(**backbone):
    return Config(dict(default_scope='mmdet', model=dict(type='RetinaNet', **backbone)))


@pytest.mark.parametrize(
    'cfg, arch, message',
    [
        (config(), 'hardnet68', 'RetinaNet has no model.backbone dict'),
        (config(backbone='built in code'), 'hardnet68', 'RetinaNet has no model.backbone dict'),
        (config(backbone=dict(type='ResNet', depth=18)), 'hardnet99', 'hardnet99'),
    ],
)
def test_refuses(cfg, arch, message):
    with pytest.raises(ValueError, match=message):
        swap(cfg, arch)


@pytest.mark.parametrize(
    'name, message',
    [
        (
            'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
            'returns tokens or other',
        ),
        ('mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py', 'shallow to deep'),
        pytest.param(
            'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py',
            'are a stack',
            marks=pytest.mark.slow,
        ),
        ('mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py', 'last stage of a ResNet'),
    ],
)
def test_refuses_what_hardnet_cannot_give(name, message):
    with pytest.raises(ValueError, match=message):
        swapped(name)


def test_layers_of_the_old_backbone_leave_the_optimizer():
    cfg = read_config(RETINANET)
    keys = {'backbone.layer1': dict(lr_mult=0.1), 'backbone': dict(lr_mult=0.5)}
    cfg.optim_wrapper.paramwise_cfg = dict(custom_keys=keys)
    kept = swap(cfg, 'hardnet68')['optim_wrapper']['paramwise_cfg']['custom_keys']
    assert kept == dict(_delete_=True, backbone=dict(lr_mult=0.5))
    cfg.load_from = 'coco.pth'
    assert swap(cfg, 'hardnet68')['load_from'] is None


def test_the_command(run_tool, tmp_path):
    out = tmp_path / 'configs/mine.py'
    command = ('swap_backbone.py', RETINANET, '--arch', 'hardnet39ds', '--out', out)
    output = run_tool(*command)
    assert 'hardnet39ds instead of ResNet' in output and 'built and run once' in output
    cfg = Config.fromfile(out)
    assert cfg.model.backbone.arch == 'hardnet39ds' and cfg.model.bbox_head.num_classes == 80
    assert [path.name for path in out.parent.iterdir()] == ['mine.py']
    assert 'is there already' in run_tool(*command, fails=True)

    inherits = tmp_path / 'inherits.py'
    inherits.write_text(
        "_base_ = './configs/mine.py'\nmodel = dict(backbone=dict(norm_eval=False))\n"
    )
    again = tmp_path / 'other/again.py'
    run_tool('swap_backbone.py', inherits, '--out', again)
    assert Config.fromfile(again).model.neck.in_channels == [128, 320, 640, 1024]


def test_the_command_leaves_nothing_when_it_fails(run_tool, tmp_path):
    (tmp_path / 'data.py').write_text("default_scope = 'mmdet'\n")
    for name in (
        tmp_path / 'data.py',
        'mmpretrain::mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py',
    ):
        out = tmp_path / 'out/mine.py'
        output = run_tool('swap_backbone.py', name, '--out', out, fails=True)
        assert output.splitlines()[-1].startswith('swap_backbone.py: error: ')
        assert not out.parent.exists()
