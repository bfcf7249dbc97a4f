import importlib

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from modelindex.load_model_index import load

from hardnet_mm.checkpoints.published import WEIGHTS

CONFIGS = [
    'hardnet39ds_imagenet.py',
    'hardnet68ds_imagenet.py',
    'hardnet68_imagenet.py',
    'hardnet85_imagenet.py',
    'centernet_hardnet68_coco.py',
    'centernet_hardnet85_coco.py',
    'faster-rcnn_hardnet68_fpn_1x_coco.py',
    'mask-rcnn_hardnet68_fpn_1x_coco.py',
    'retinanet_hardnet68_fpn_1x_coco.py',
    'fcos_hardnet68_fpn_gn-head_1x_coco.py',
    'rtmdet_hardnet68_8xb32-300e_coco.py',
    'yolox_hardnet68_8xb8-300e_coco.py',
    'deeplabv3plus_hardnet68_ade20k.py',
    'fchardnet70_chase-db1.py',
    'fchardnet70_cityscapes.py',
    'fchardnet70_cityscapes_160k.py',
    'fcn_hardnet68_ade20k.py',
    'ocrnet_hardnet68_ade20k.py',
    'pspnet_hardnet68_ade20k.py',
    'segformer_hardnet68_ade20k.py',
    'ssd512_hardnet68_coco.py',
    'ssd512_hardnet85_coco.py',
    'ssd512_hardnet68_voc0712.py',
    'upernet_hardnet68_ade20k.py',
    'upernet_hardnet85_ade20k.py',
    'digits/centernet_hardnet39ds_digits.py',
    'digits/centernet_hardnet_digits.py',
    'digits/fchardnet70_digits.py',
    'digits/hardnet39ds_digits.py',
    'digits/ssd_hardnet_digits.py',
]


def test_every_config_is_tested(root):
    found = {str(path.relative_to(root / 'configs')) for path in (root / 'configs').rglob('*.py')}
    assert {path for path in found if not path.startswith('_base_')} == set(CONFIGS)


@pytest.mark.parametrize('path', CONFIGS)
def test_builds(root, path):
    """The model, the pipelines and the loops, by the toolbox's registries alone."""
    cfg = Config.fromfile(root / 'configs' / path)
    scope = cfg.default_scope
    importlib.import_module(f'{scope}.utils').register_all_modules(init_default_scope=False)
    init_default_scope(scope)
    registry = importlib.import_module(f'{scope}.registry')
    model = registry.MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) > 0
    if scope == 'mmdet':
        assert tuple(cfg.model.neck.in_channels) == model.backbone.channels
    if cfg.model.type == 'CenterNet':
        assert cfg.model.bbox_head.in_channels == model.neck.out_channels
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        dataset = loader.dataset
        while 'pipeline' not in dataset:
            dataset = dataset.get('dataset') or dataset.datasets[0]
        for transform in dataset.pipeline:
            registry.TRANSFORMS.build(transform)


def test_ssd512_voc_reads_both_years(root):
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_voc0712.py')
    datasets = cfg.train_dataloader.dataset.dataset.datasets
    assert [d.data_prefix.sub_data_root for d in datasets] == ['VOC2007/', 'VOC2012/']
    assert all(d.pipeline == cfg.train_pipeline for d in datasets)
    assert cfg.test_dataloader.dataset.pipeline == cfg.test_pipeline


def test_ssd512_schedule_is_the_originals(root):
    cfg = Config.fromfile(root / 'configs/ssd512_hardnet68_coco.py')
    assert cfg.optim_wrapper.optimizer == dict(type='SGD', lr=4e-3, momentum=0.9, weight_decay=5e-4)
    assert cfg.train_cfg.max_epochs == 150
    assert cfg.param_scheduler[1].milestones == [90, 120, 140]
    assert cfg.param_scheduler[0].start_factor * cfg.optim_wrapper.optimizer.lr == 1e-6
    preprocessor = cfg.model.data_preprocessor
    assert (preprocessor.mean, preprocessor.bgr_to_rgb) == ([104, 117, 123], False)
    test_cfg = cfg.model.test_cfg
    assert test_cfg.nms.iou_threshold == 0.45
    assert (test_cfg.max_per_class, test_cfg.max_per_img) == (50, 200)


def test_model_index(root):
    """What mim and the inferencers read: configs that are there, weights that have a name."""
    index = load(str(root / 'model-index.yml'))
    index.build_models_with_collections()
    assert len(index.models) > 6
    for model in index.models:
        assert (root / model.config).is_file()
        assert model.weights in {weights.address for weights in WEIGHTS.values()}
