"""SSD's head, as mmdet's but able to predict."""

import torch
from mmdet.models.dense_heads import SSDHead
from torch import Tensor

from ..registry import MODELS


@MODELS.register_module()
class HarDNetSSDHead(SSDHead):
    """mmdet's SSD head with the original's limit on detections of one class.

    ``test_cfg.max_per_class`` boxes of a class at most survive NMS, before ``max_per_img`` limits
    them all (lzx1413/PytorchSSD, test_net); without it there is no such limit.
    """

    # AnchorHead's prediction asks the loss for its kind of scores; SSDHead never sets one
    # (mmdet 3.3.0), and softmax over the classes is what AnchorHead does by default.
    loss_cls = None

    def _bbox_post_process(self, results, cfg, rescale=False, with_nms=True, img_meta=None):
        """Return the detections of one image, an ``InstanceData``, best first."""
        max_per_img = cfg.max_per_img
        cfg.max_per_img = len(results)
        results = super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        if with_nms and 'max_per_class' in cfg:
            results = results[rank_in_class(results.labels) < cfg.max_per_class]
        return results[:max_per_img] if with_nms else results


def rank_in_class(labels: Tensor) -> Tensor:
    """Return how many earlier entries have the same label, ``(N,)`` int64, for labels ``(N,)``."""
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    first = counts.cumsum(0) - counts
    position = torch.arange(len(labels), device=labels.device)
    ranks = torch.empty_like(order)
    ranks[order] = position - first[labels[order]]
    return ranks
