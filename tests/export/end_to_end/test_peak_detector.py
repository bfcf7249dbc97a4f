"""CenterNet."""

import torch
from helpers.exported import (
    assert_predicts_as,
    deployed,
    in_pytorch,
    item,
    predictions,
    random_images,
)


def test_a_border_is_taken_off(models):
    """Of mmdet's test pipeline of CenterNet, which puts the image on a larger canvas."""
    model, cfg = models('centernet_hardnet')
    entry = item(cfg, random_images()[0], (256, 64))
    entry['data_samples'].set_metainfo(dict(border=torch.tensor([11.0, 117, 7, 121]).numpy()))
    (wanted,) = predictions(model, [entry])
    end_to_end = deployed(model)
    assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), [entry])
    outputs = in_pytorch(end_to_end)(entry['inputs'][None].float().numpy())
    (found,) = end_to_end.attach(outputs, [entry['data_samples'].clone()])
    some = wanted.pred_instances.scores > 0.02
    torch.testing.assert_close(
        found.pred_instances.bboxes[some], wanted.pred_instances.bboxes[some], rtol=0, atol=1e-2
    )
