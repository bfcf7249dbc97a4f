"""Swap HarDNet into many configs of the toolboxes, train a step, predict, and list the outcomes.

The table has a column for each stack: the maintained continuation of the toolboxes (onedl), and
OpenMMLab's last releases (openmmlab). A run fills the column of the installed stack and leaves the
other one. The table is in docs/swap.md.
"""

import argparse
import importlib
import importlib.util
import logging
import re
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import torch
from mmengine.utils import is_installed

from hardnet_mm import HarDNet
from hardnet_mm.backbones.architectures import ARCHITECTURES
from hardnet_mm.swap.backbone import plan_swap
from hardnet_mm.swap.places import reach
from hardnet_mm.swap.trial import loss, predict
from hardnet_mm.utils.configs import build_model, read_config, read_inherited
from hardnet_mm.utils.errors import InputError

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import expanded_path  # noqa: E402
from marked_page import split_page, write_between  # noqa: E402

CONFIGS = {
    'mmdet': [
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco',
        'faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco',
        'faster_rcnn/faster-rcnn_r50-caffe-dc5_1x_coco',
        'cascade_rcnn/cascade-rcnn_r50_fpn_1x_coco',
        'mask_rcnn/mask-rcnn_r50_fpn_1x_coco',
        'mask_rcnn/mask-rcnn_r50-caffe_fpn_1x_coco',
        'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco',
        'libra_rcnn/libra-faster-rcnn_r50_fpn_1x_coco',
        'double_heads/dh-faster-rcnn_r50_fpn_1x_coco',
        'dynamic_rcnn/dynamic-rcnn_r50_fpn_1x_coco',
        'grid_rcnn/grid-rcnn_r50_fpn_gn-head_2x_coco',
        'ms_rcnn/ms-rcnn_r50-caffe_fpn_1x_coco',
        'htc/htc-without-semantic_r50_fpn_1x_coco',
        'scnet/scnet_r50_fpn_1x_coco',
        'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco',
        'pafpn/faster-rcnn_r50_pafpn_1x_coco',
        'groie/faste-rcnn_r50_fpn_groie_1x_coco',
        'carafe/faster-rcnn_r50_fpn-carafe_1x_coco',
        'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco',
        'hrnet/faster-rcnn_hrnetv2p-w18-1x_coco',
        'regnet/faster-rcnn_regnetx-3.2GF_fpn_1x_coco',
        'res2net/faster-rcnn_res2net-101_fpn_2x_coco',
        'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco',
        'convnext/mask-rcnn_convnext-t-p4-w7_fpn_amp-ms-crop-3x_coco',
        'detectors/detectors_cascade-rcnn_r50_1x_coco',
        'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco',
        'queryinst/queryinst_r50_fpn_1x_coco',
        'retinanet/retinanet_r50_fpn_1x_coco',
        'nas_fpn/retinanet_r50_nasfpn_crop640-50e_coco',
        'ghm/retinanet_r50_fpn_ghm-1x_coco',
        'sabl/sabl-retinanet_r50_fpn_1x_coco',
        'efficientnet/retinanet_effb3_fpn_8xb4-crop896-1x_coco',
        'pvt/retinanet_pvt-t_fpn_1x_coco',
        'free_anchor/freeanchor_r50_fpn_1x_coco',
        'fcos/fcos_r50-caffe_fpn_gn-head_1x_coco',
        'atss/atss_r50_fpn_1x_coco',
        'dyhead/atss_r50_fpn_dyhead_1x_coco',
        'gfl/gfl_r50_fpn_1x_coco',
        'vfnet/vfnet_r50_fpn_1x_coco',
        'paa/paa_r50_fpn_1x_coco',
        'tood/tood_r50_fpn_1x_coco',
        'ddod/ddod_r50_fpn_1x_coco',
        'autoassign/autoassign_r50-caffe_fpn_1x_coco',
        'foveabox/fovea_r50_fpn_4xb4-1x_coco',
        'fsaf/fsaf_r50_fpn_1x_coco',
        'reppoints/reppoints-moment_r50_fpn_1x_coco',
        'ssd/ssd512_coco',
        'ssd/ssdlite_mobilenetv2-scratch_8xb24-600e_coco',
        'yolo/yolov3_d53_8xb8-320-273e_coco',
        'yolof/yolof_r50-c5_8xb8-1x_coco',
        'yolox/yolox_s_8xb8-300e_coco',
        'rtmdet/rtmdet_s_8xb32-300e_coco',
        'rtmdet/rtmdet-ins_s_8xb32-300e_coco',
        'centernet/centernet_r18_8xb16-crop512-140e_coco',
        'centernet/centernet-update_r50-caffe_fpn_ms-1x_coco',
        'cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco',
        'yolact/yolact_r50_1xb8-55e_coco',
        'solo/solo_r50_fpn_1x_coco',
        'solov2/solov2_r50_fpn_1x_coco',
        'condinst/condinst_r50_fpn_ms-poly-90k_coco_instance',
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco',
        'panoptic_fpn/panoptic-fpn_r50_fpn_1x_coco',
        'mask2former/mask2former_r50_8xb2-lsj-50e_coco-panoptic',
        'maskformer/maskformer_r50_ms-16xb1-75e_coco',
        'detr/detr_r50_8xb2-150e_coco',
        'conditional_detr/conditional-detr_r50_8xb2-50e_coco',
        'dab_detr/dab-detr_r50_8xb2-50e_coco',
        'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
        'dino/dino-4scale_r50_8xb2-12e_coco',
        'ddq/ddq-detr-4scale_r50_8xb2-12e_coco',
        'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco',
    ],
    'mmseg': [
        'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024',
        'hrnet/fcn_hr18_4xb2-40k_cityscapes-512x1024',
        'pspnet/pspnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'deeplabv3/deeplabv3_r50-d8_4xb2-40k_cityscapes-512x1024',
        'deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024',
        'upernet/upernet_r50_4xb2-40k_cityscapes-512x1024',
        'swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512',
        'convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512',
        'ocrnet/ocrnet_hr18_4xb2-40k_cityscapes-512x1024',
        'ocrnet/ocrnet_r101-d8_4xb2-40k_cityscapes-512x1024',
        'segformer/segformer_mit-b0_8xb2-160k_ade20k-512x512',
        'sem_fpn/fpn_r50_4xb2-80k_cityscapes-512x1024',
        'danet/danet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'ccnet/ccnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'dmnet/dmnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'dnlnet/dnl_r50-d8_4xb2-40k_cityscapes-512x1024',
        'encnet/encnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'emanet/emanet_r50-d8_4xb2-80k_cityscapes-512x1024',
        'gcnet/gcnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'isanet/isanet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'nonlocal_net/nonlocal_r50-d8_4xb2-40k_cityscapes-512x1024',
        'psanet/psanet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'apcnet/apcnet_r50-d8_4xb2-40k_cityscapes-512x1024',
        'ann/ann_r50-d8_4xb2-40k_cityscapes-512x1024',
        'fastfcn/fastfcn_r50-d32_jpu_psp_4xb2-80k_cityscapes-512x1024',
        'point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024',
        'knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512',
        'mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024',
        'mobilenet_v3/mobilenet-v3-d8_lraspp_4xb4-320k_cityscapes-512x1024',
        'icnet/icnet_r18-d8_4xb2-80k_cityscapes-832x832',
        'unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024',
        'segmenter/segmenter_vit-t_mask_8xb1-160k_ade20k-512x512',
    ],
    'mmpretrain': [
        'resnet/resnet50_8xb32_in1k',
        'mobilenet_v2/mobilenet-v2_8xb32_in1k',
        'efficientnet/efficientnet-b0_8xb32_in1k',
        'swin_transformer/swin-tiny_16xb64_in1k',
        'convnext/convnext-tiny_32xb128_in1k',
        'vgg/vgg16_8xb32_in1k',
        'vision_transformer/vit-base-p16_64xb64_in1k',
        'simclr/simclr_resnet50_16xb256-coslr-200e_in1k',
        'mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k',
        'simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k',
        'byol/byol_resnet50_16xb256-coslr-200e_in1k',
        'barlowtwins/barlowtwins_resnet50_8xb256-coslr-300e_in1k',
    ],
}

# Of mmdet's tracking, and of the toolboxes that the plugin does not install.
OTHER_CONFIGS = {
    'mmdet': [
        'qdtrack/qdtrack_faster-rcnn_r50_fpn_8xb2-4e_mot17halftrain_test-mot17halfval',
        'bytetrack/bytetrack_yolox_x_8xb4-80e_crowdhuman-mot17halftrain_test-mot17halfval',
        'ocsort/ocsort_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17halfval',
        'masktrack_rcnn/masktrack-rcnn_mask-rcnn_r50_fpn_8xb1-12e_youtubevis2019',
        'mask2former_vis/mask2former_r50_8xb2-8e_youtubevis2019',
        'reid/reid_r50_8xb32-6e_mot17train80_test-mot17val20',
    ],
    'mmrotate': [
        'rotated_retinanet/rotated-retinanet-hbox-le90_r50_fpn_1x_dota',
        'rotated_retinanet/rotated-retinanet-rbox-le90_r50_fpn_1x_dota',
        'rotated_fcos/rotated-fcos-le90_r50_fpn_1x_dota',
        'rotated_fcos/rotated-fcos-hbox-le90_r50_fpn_1x_dota',
        'rotated_atss/rotated-atss-le90_r50_fpn_1x_dota',
        'rotated_faster_rcnn/rotated-faster-rcnn-le90_r50_fpn_1x_dota',
        'oriented_rcnn/oriented-rcnn-le90_r50_fpn_1x_dota',
        'oriented_rcnn/oriented-rcnn-le90_swin-tiny_fpn_1x_dota',
        'roi_trans/roi-trans-le90_r50_fpn_1x_dota',
        'gliding_vertex/gliding-vertex-qbox_r50_fpn_1x_dota',
        's2anet/s2anet-le135_r50_fpn_1x_dota',
        'r3det/r3det-oc_r50_fpn_1x_dota',
        'kld/rotated-retinanet-rbox-le90_r50_fpn_kld-stable_adamw-1x_dota',
        'rotated_rtmdet/rotated_rtmdet_s-3x-dota',
    ],
    'mmpose': [
        'body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192',
        'body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192',
        'body_2d_keypoint/topdown_heatmap/coco/td-hm_mobilenetv2_8xb64-210e_coco-256x192',
        'body_2d_keypoint/topdown_heatmap/coco/td-hm_ViTPose-small-simple_8xb64-210e_coco-256x192',
        'body_2d_keypoint/topdown_regression/coco/td-reg_res50_8xb64-210e_coco-256x192',
        'body_2d_keypoint/topdown_regression/coco/td-reg_res50_rle-8xb64-210e_coco-256x192',
        'body_2d_keypoint/integral_regression/coco/ipr_res50_8xb64-210e_coco-256x256',
        'body_2d_keypoint/simcc/coco/simcc_res50_8xb64-210e_coco-256x192',
        'body_2d_keypoint/rtmpose/coco/rtmpose-s_8xb256-420e_coco-256x192',
    ],
    'mmaction': [
        'recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb',
        'recognition/tsm/tsm_imagenet-pretrained-r50_8xb16-1x1x8-50e_kinetics400-rgb',
        'recognition/trn/trn_imagenet-pretrained-r50_8xb16-1x1x8-50e_sthv1-rgb',
        'recognition/i3d/i3d_imagenet-pretrained-r50_8xb8-32x2x1-100e_kinetics400-rgb',
    ],
    'mmocr': [
        'textdet/dbnet/dbnet_resnet18_fpnc_1200e_icdar2015',
        'textdet/dbnet/dbnet_resnet50_1200e_icdar2015',
        'textdet/dbnetpp/dbnetpp_resnet50_fpnc_1200e_icdar2015',
        'textdet/panet/panet_resnet18_fpem-ffm_600e_icdar2015',
        'textdet/fcenet/fcenet_resnet50_fpn_1500e_icdar2015',
    ],
    'mmyolo': [
        'yolov5/yolov5_s-v61_syncbn_8xb16-300e_coco',
        'yolov6/yolov6_s_syncbn_fast_8xb32-300e_coco',
        'yolov7/yolov7_tiny_syncbn_fast_8x16b-300e_coco',
        'yolov8/yolov8_s_syncbn_fast_8xb16-500e_coco',
        'yolox/yolox_s_fast_8xb8-300e_coco',
        'rtmdet/rtmdet_s_syncbn_fast_8xb32-300e_coco',
        'yolov5/yolov5_n-v61_syncbn_fast_8xb16-300e_coco',
    ],
    'mmdet3d': [
        'fcos3d/fcos3d_r101-caffe-dcn_fpn_head-gn_8xb2-1x_nus-mono3d',
        'pgd/pgd_r101-caffe_fpn_head-gn_16xb2-1x_nus-mono3d',
        'pgd/pgd_r101-caffe_fpn_head-gn_4xb3-4x_kitti-mono3d',
        'smoke/smoke_dla34_dlaneck_gn-all_4xb8-6x_kitti-mono3d',
        'imvotenet/imvotenet_faster-rcnn-r50_fpn_4xb2_sunrgbd-3d',
        'pointpillars/pointpillars_hv_secfpn_8xb6-160e_kitti-3d-3class',
        'pointpillars/pointpillars_hv_fpn_sbn-all_8xb4-2x_nus-3d',
        'centerpoint/centerpoint_pillar02_second_secfpn_8xb4-cyclic-20e_nus-3d',
        'ssn/ssn_hv_secfpn_sbn-all_16xb2-2x_nus-3d',
        'free_anchor/pointpillars_hv_regnet-400mf_fpn_head-free-anchor_sbn-all_8xb4-2x_nus-3d',
        'second/second_hv_secfpn_8xb6-80e_kitti-3d-3class',
        'mvxnet/mvxnet_fpn_dv_second_secfpn_8xb2-80e_kitti-3d-3class',
    ],
}

STACKS = ('onedl', 'openmmlab')
KINDS = ('works', 'refused', 'fails without HarDNet, too', 'fails')
# The marks around the tables in a page.
BEGIN = '<!-- written by tools/analysis_tools/backbone_swaps.py, from here -->'
END = '<!-- to here -->'

# Configs whose backbone HarDNet cannot replace, by design; swap_backbone.py says why.
REFUSED = (
    'mmdet::faster_rcnn/faster-rcnn_r50-caffe_c4-1x_coco.py',
    'mmdet::cornernet/cornernet_hourglass104_8xb6-210e-mstest_coco.py',
    'mmdet::detectors/detectors_cascade-rcnn_r50_1x_coco.py',
    'mmseg::unet/unet-s5-d16_fcn_4xb4-160k_cityscapes-512x1024.py',
)


def run(name, arch):
    """Swap, train a step, predict, and return the outcome: one of :data:`KINDS`, with a reason."""
    try:
        cfg = read_config(name)
    except (ImportError, InputError) as error:
        return f'fails without HarDNet, too: {error}'.partition('\n')[0]
    try:
        plan = plan_swap(cfg, arch)
        swapped = read_inherited(name, plan.differences)
    except ValueError as error:
        return f'refused: {error}'
    except (ImportError, NotImplementedError) as error:  # a package or an operator is not there
        return f'fails without HarDNet, too: {error}'.partition(': install')[0]
    # a gradient is to reach the first layer
    reach(swapped.model, plan.keys).pop('frozen_stages', None)
    failure = attempt(swapped)
    if failure and re.sub(r'\d', '', attempt(cfg)) == re.sub(r'\d', '', failure):  # but for sizes
        return f'fails without HarDNet, too: {failure}'
    return f'fails: {failure}' if failure else 'works'


def path_of(name):
    """Return the path of a toolbox's config. Of mmaction2's, mmengine finds none by name."""
    toolbox, _, rest = name.partition('::')
    folder = importlib.util.find_spec(toolbox).submodule_search_locations[0]
    return str(Path(folder, '.mim/configs', rest))


def attempt(cfg):
    """Train a step and predict. Return the error, '' if there is none."""
    try:
        model = build_model(cfg)
        fill_zero_weights(model)
        loss(model, cfg).backward()
        if not gradient_arrives(model):
            return 'no gradient reaches the first layer'
        predict(model, cfg)
    except Exception as error:  # the table reports whatever a toolbox raises
        return f'{type(error).__name__}: {error}'.partition('\n')[0].partition(': install')[0]
    return ''


def fill_zero_weights(model):
    """Fill layers that start at zero, as ViT's and YOLOv6's classifiers: no gradient passes one."""
    for module in model.modules():
        layer = isinstance(module, (torch.nn.Linear, torch.nn.Conv2d))
        if layer and not module.weight.any():
            torch.nn.init.normal_(module.weight, std=0.01)


def gradient_arrives(model):
    """Tell whether the first layer of each HarDNet that learns has a gradient; of others, yes."""
    backbones = [module for module in model.modules() if isinstance(module, HarDNet)]
    weights = [backbone.stem[0].conv.weight for backbone in backbones]
    gradients = [weight.grad for weight in weights if weight.requires_grad]  # not of a teacher
    arrived = [g is not None and g.isfinite().all() and g.any() for g in gradients]
    return not backbones or bool(arrived) and all(arrived)


@dataclass
class Column:
    """The outcomes on one stack.

    Attributes:
        arch (str): The variant that was swapped in.
        versions (str): Packages of the stack, with their versions.
        outcomes (dict[str, str]): What :func:`run` returned, by the config's name.
    """

    arch: str
    versions: str
    outcomes: dict = field(default_factory=dict)


def installed_stack():
    """Return the name of the installed stack, of :data:`STACKS`."""
    return 'onedl' if is_installed('onedl-mmdetection') else 'openmmlab'


def installed_versions(configs):
    """Return the packages that the configs need and that are installed, with their versions."""
    names = [name for name in configs if importlib.util.find_spec(name)]
    packages = [importlib.import_module(name) for name in (*names, 'mmcv', 'torch')]
    return ', '.join(f'{package.__name__} {package.__version__}' for package in packages)


def summary(columns):
    """Return the lines of the stacks' table: packages, and the number of each kind of outcome."""
    lines = [
        '| stack | variant | packages | configs | works | refused | fails without HarDNet, too | '
        'fails |',
        '|---|---|---|---|---|---|---|---|',
    ]
    for stack, column in columns.items():
        counts = Counter(outcome.partition(':')[0] for outcome in column.outcomes.values())
        kinds = [counts[kind] for kind in KINDS]
        cells = [stack, column.arch, column.versions, len(column.outcomes), *kinds]
        lines.append(f'| {" | ".join(map(str, cells))} |')
    return lines


def table(columns):
    """Return the lines of the configs' table: a column a stack, empty where it was not run."""
    names = dict.fromkeys(name for column in columns.values() for name in column.outcomes)
    lines = [f'| config | {" | ".join(columns)} |', '|---|' + '---|' * len(columns)]
    for name in names:
        cells = [column.outcomes.get(name, '').replace('|', '/') for column in columns.values()]
        lines.append(f'| {name} | {" | ".join(cells)} |')
    return lines


def write(columns, path):
    """Put the tables between the marks of a page. A missing page is made.

    Args:
        columns (dict[str, Column]): By the stack's name.
        path (Path): The page, in Markdown.
    """
    columns = {stack: columns[stack] for stack in STACKS if stack in columns}
    lines = ['', *summary(columns), '', *table(columns), '']
    write_between(path, BEGIN, END, '\n'.join(lines))


def read(path):
    """Return the columns in a page, by the stack's name."""
    _, between, _ = split_page(path, BEGIN, END)
    rows = [row[2:-2].split(' | ') for row in between.splitlines() if row[:1] == '|']
    columns = {row[0]: Column(row[1], row[2]) for row in rows if row[0] in STACKS}
    for name, *cells in rows:
        if '::' in name:
            for column, outcome in zip(columns.values(), cells):
                column.outcomes.update({name: outcome} if outcome else {})
    return columns


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--arch', default='hardnet39ds', choices=ARCHITECTURES)
    parser.add_argument(
        '--out',
        type=expanded_path,
        required=True,
        help="Markdown page; outcomes in the installed stack's column are reused if the packages' "
        'versions and --arch are the same',
    )
    parser.add_argument(
        '--others',
        action='store_true',
        help='try the configs of toolboxes that the plugin does not install, those that are there',
    )
    parser.add_argument('--redo', action='store_true', help='do it again')
    return parser.parse_args()


def main():
    args = parse_args()
    logging.disable(logging.INFO)
    torch.manual_seed(0)
    columns, stack = read(args.out), installed_stack()
    configs = OTHER_CONFIGS if args.others else CONFIGS
    column = Column(args.arch, installed_versions(configs))
    found = columns.get(stack, column)
    done = {}
    if not args.redo and (found.arch, found.versions) == (column.arch, column.versions):
        done = found.outcomes
    columns[stack] = column
    for toolbox, names in configs.items():
        if importlib.util.find_spec(toolbox) is None:
            continue
        for name in (f'{toolbox}::{name}.py' for name in names):
            if name in done:
                column.outcomes[name] = done[name]
            else:
                column.outcomes[name] = run(path_of(name) if args.others else name, args.arch)
            print(f'{name}: {column.outcomes[name]}', flush=True)
            both = Column(column.arch, column.versions, {**done, **column.outcomes})
            write({**columns, stack: both}, args.out)
    write(columns, args.out)


if __name__ == '__main__':
    main()
