"""Heads that decide in several ways."""

import copy

import pytest
from helpers.exported import (
    assert_equal,
    deployed,
    filled,
    in_pytorch,
    items,
    predictions,
    random_images,
    skip_without,
)

from hardnet_mm.export.compare import compare
from hardnet_mm.export.end_to_end import build_end_to_end
from hardnet_mm.export.formats import load
from hardnet_mm.export.writing import export
from hardnet_mm.utils.configs import build_model


@pytest.mark.parametrize(
    'decision', [dict(), dict(thr=0.3), dict(topk=3), dict(thr=0.6, topk=2)], ids=str
)
@pytest.mark.parametrize('kind', ['MultiLabelLinearClsHead', 'CSRAClsHead'])
def test_multi_label_classifiers(models, tmp_path, kind, decision):
    _, cfg = models('hardnet39ds')
    cfg = copy.deepcopy(cfg)
    cfg.model.head = dict(type=kind, num_classes=10, in_channels=1024, **decision)
    if kind == 'CSRAClsHead':
        cfg.model.head.update(num_heads=2, lam=0.1)
        cfg.model.neck = None
    model = filled(build_model(cfg))
    batch = items(cfg, random_images(3))
    end_to_end = deployed(model)
    runtime = in_pytorch(end_to_end)
    if not decision:
        skip_without('onnx')
        export(end_to_end, random_images(), tmp_path / 'model.onnx', 'onnx')
        runtime = load(tmp_path / 'model.onnx')
    wanted = predictions(model, batch)
    numbers = {len(sample.pred_label) for sample in wanted}
    assert numbers != {1}  # a single label would hide a mistake
    for entry, prediction in zip(batch, wanted):
        assert_equal(compare(end_to_end, runtime, model, entry))
        outputs = runtime(entry['inputs'][None].float().numpy())
        (found,) = build_end_to_end(model).attach(outputs, [entry['data_samples'].clone()])
        assert sorted(found.pred_label.tolist()) == sorted(prediction.pred_label.tolist())


def test_a_head_that_decides_in_its_own_way_is_refused(models):
    model, _ = models('hardnet39ds')
    model = copy.deepcopy(model)
    plain = model.head._get_predictions
    model.head._get_predictions = lambda logits, samples: plain(2 * logits, samples)
    with pytest.raises(ValueError, match='DropoutLinearClsHead cannot be exported: its scores'):
        build_end_to_end(model)
