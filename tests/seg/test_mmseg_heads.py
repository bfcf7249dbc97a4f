"""HarDNet under mmseg's own heads: what the configs build trains and predicts."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from hardnet_mm.utils.configs import build_model

SIZE = (64, 96)
CONFIGS = [
    pytest.param('fcn_hardnet68-d8', 8, marks=pytest.mark.slow),  # PSPNet has such a head, too
    ('pspnet_hardnet68-d8', 8),
    ('deeplabv3plus_hardnet68-d16', 4),  # up to the shallowest stage's size
    pytest.param('upernet_hardnet68', 4, marks=pytest.mark.slow),
    pytest.param('upernet_hardnet85', 4, marks=pytest.mark.slow),
    ('segformer_hardnet68', 4),
    ('ocrnet_hardnet68-d8', 8),
]


@pytest.mark.parametrize('name, stride', CONFIGS)
def test_trains_and_predicts(root, name, stride):
    init_default_scope('mmseg')
    torch.manual_seed(0)
    cfg = Config.fromfile(root / f'configs/toolbox_models/{name}_4xb4-80k_ade20k-512x512.py')
    cfg.model.data_preprocessor.size = SIZE
    model = build_model(cfg)
    sample = SegDataSample(metainfo=dict(img_shape=SIZE, ori_shape=SIZE))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 150, (1, *SIZE)))
    images = [torch.randint(0, 255, (3, *SIZE), dtype=torch.uint8) for _ in range(2)]
    batch = dict(inputs=images, data_samples=[sample, sample])

    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    first = model.backbone.stem[0].conv.weight
    before = first.detach().clone()
    for _ in range(2):
        losses = model.train_step(batch, OptimWrapper(optimizer))
    assert losses['loss'].isfinite() and not torch.equal(first, before)

    model.eval()
    with torch.no_grad():
        logits = model(model.data_preprocessor(batch)['inputs'], mode='tensor')
        results = model.test_step(batch)
    assert logits.shape == (2, 150, SIZE[0] // stride, SIZE[1] // stride)
    assert [r.pred_sem_seg.shape for r in results] == [SIZE, SIZE]
