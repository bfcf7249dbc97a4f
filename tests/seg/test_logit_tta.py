import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import hardnet_mm.seg  # noqa: F401


@pytest.mark.parametrize('classes', [1, 3])
def test_scores_are_averaged(classes):
    init_default_scope('mmseg')
    head = dict(
        type='FCNHead',
        in_channels=4,
        channels=4,
        num_classes=max(classes, 2),
        out_channels=classes,
        threshold=0.5,
        num_convs=0,
        concat_input=False,
        loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=classes == 1),
    )
    module = dict(
        type='EncoderDecoder',
        backbone=dict(type='HarDNet', arch='hardnet39ds', out_indices=(0,)),
        decode_head=head,
        test_cfg=dict(mode='whole'),
    )
    model = MODELS.build(dict(type='LogitSegTTAModel', module=module))
    if classes > 1:  # one variant is sure, and the others are many: their probabilities would win
        unsure = torch.zeros(classes, 4, 5)
        sure, unsure[0] = unsure.clone(), -1.0
        sure[0] = 10.0
        scores, wanted = [unsure, sure, *[unsure] * 5], torch.zeros(1, 4, 5)
    else:
        scores = [torch.full((1, 4, 5), probability) for probability in (0.45, 0.45, 0.9)]
        wanted = torch.ones(1, 4, 5)
    variants = [SegDataSample(seg_logits=PixelData(data=score)) for score in scores]
    variants[0].gt_sem_seg = PixelData(data=torch.ones(1, 4, 5))
    variants[0].set_metainfo(dict(img_path='first.png'))
    (merged,) = model.merge_preds([variants])
    torch.testing.assert_close(merged.seg_logits.data, torch.stack(scores).mean(dim=0))
    assert torch.equal(merged.pred_sem_seg.data.float(), wanted)
    assert merged.img_path == 'first.png' and merged.gt_sem_seg.data.sum() == 20
