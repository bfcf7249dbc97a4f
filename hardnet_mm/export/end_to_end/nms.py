"""Non-maximum suppression inside a file."""

import torch
from torchvision.ops import batched_nms

from ...utils.errors import InputError


def check_nms_settings(test_cfg):
    """Refuse test settings that a file cannot contain.

    Args:
        test_cfg (dict): The head's test settings.

    Raises:
        ValueError: If there is such a setting.
    """
    nms = test_cfg.get('nms') or {}
    found = nms.get('type', 'nms')
    if not nms or found != 'nms':
        raise InputError(
            f"model.test_cfg.nms.type is {found if nms else None!r}, and a file holds 'nms' alone: "
            'pass --cfg-options model.test_cfg.nms.type=nms, and test what it changes'
        )
    # split_thr chooses between two ways to the same result
    others = {
        key: value
        for key, value in nms.items()
        if key not in ('type', 'iou_threshold', 'split_thr') and value
    }
    if others or 'iou_threshold' not in nms:
        raise InputError(
            f'model.test_cfg.nms has {dict(nms)}, and a file holds iou_threshold alone: without '
            f'{[*others]}, test what it changes'
        )
    if test_cfg.get('min_bbox_size', -1) > 0:
        raise InputError(
            f"model.test_cfg.min_bbox_size is {test_cfg.min_bbox_size} of the images' own pixels, "
            'which a file does not know: pass --cfg-options model.test_cfg.min_bbox_size=0'
        )
    if test_cfg.get('score_thr', 0) < 0:
        raise InputError(
            f'model.test_cfg.score_thr must be at least 0 in a file, got {test_cfg.score_thr}'
        )


class NonMaxSuppression(torch.autograd.Function):
    """ONNX's operator ``NonMaxSuppression``; PyTorch computes it with torchvision."""

    @staticmethod
    def forward(ctx, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the selected boxes, ``(M, 3)`` int64: indices of image, class and box."""
        kept = [torch.zeros(0, 3, dtype=torch.int64)]
        for image, of_image in enumerate(scores.unbind()):
            label, box = (of_image > score_thr).nonzero(as_tuple=True)
            best = batched_nms(boxes[image, box], of_image[label, box], label, iou_threshold)
            for number in label.unique().unbind():
                of_class = best[label[best] == number][:max_per_class]
                where = (torch.full_like(of_class, image), label[of_class], box[of_class])
                kept.append(torch.stack(where, dim=1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the ONNX node."""
        limits = (
            torch.tensor([max_per_class]),
            torch.tensor([iou_threshold], dtype=torch.float32),
            torch.tensor([score_thr], dtype=torch.float32),
        )
        constants = (g.op('Constant', value_t=limit) for limit in limits)
        return g.op('NonMaxSuppression', boxes, scores, *constants)
