from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from hardnet_mm.det.coco_classes import choose_classes

# Of Pascal VOC's classes in COCO, counted from 1 (lzx1413/PytorchSSD, coco_voc.txt).
IN_COCO = (5, 2, 15, 9, 40, 6, 3, 16, 57, 20, 61, 17, 18, 4, 1, 59, 19, 58, 7, 63)
VOC = (
    'aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike '
    'person pottedplant sheep sofa train tvmonitor'
).split()


def test_classes_are_those_of_the_original():
    """For each of a cell's priors; the background, which it has first, is our last."""
    scores = torch.arange(3 * 81.0)
    wanted = [81 * prior + index for prior in range(3) for index in (*(i - 1 for i in IN_COCO), 80)]
    assert choose_classes(scores, VOC).tolist() == wanted
    kernels = torch.randn(2 * 81, 4, 3, 3)
    assert torch.equal(choose_classes(kernels, ['person', 'tv'])[4], kernels[81 + 62])


def test_classes_that_coco_has_not():
    with pytest.raises(ValueError, match=r"COCO has no class \['unicorn'\]"):
        choose_classes(torch.zeros(81), ['cat', 'unicorn'])
    with pytest.raises(ValueError, match='42 channels .* 80 classes of COCO'):
        choose_classes(torch.zeros(42), ['cat'])


@pytest.mark.parametrize('arch', ['68', '85'])
def test_fine_tuning_starts_from_cocos_classes(root, arch, tmp_path):
    """By a runner, as the config of Pascal VOC has it; its own checkpoints stay as they are."""
    from mmengine.registry import HOOKS, MODELS, init_default_scope

    init_default_scope('mmdet')
    cfg = Config.fromfile(root / f'configs/ssd512_hardnet{arch}_coco-to-voc0712.py')
    assert cfg.load_from == f'hardnet://ssd512_hardnet{arch}_coco'
    head = cfg.model.bbox_head
    model = torch.nn.Module()
    model.bbox_head = MODELS.build(head)
    head.num_classes = 80
    coco = {f'bbox_head.{key}': value for key, value in MODELS.build(head).state_dict().items()}
    hook = HOOKS.build(cfg.custom_hooks[-1])
    runner = SimpleNamespace(model=model)
    checkpoint = dict(state_dict=dict(coco))
    hook.after_load_checkpoint(runner, checkpoint)
    model.load_state_dict(checkpoint['state_dict'])  # all of it fits
    key = 'bbox_head.cls_convs.0.0.bias'
    assert torch.equal(checkpoint['state_dict'][key], choose_classes(coco[key], VOC))
    again = dict(state_dict=model.state_dict())
    hook.after_load_checkpoint(runner, again)
    for key, value in model.state_dict().items():
        assert torch.equal(value, again['state_dict'][key])
