"""SSD's head, as mmdet's but able to predict."""

import copy

import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.models.utils import filter_scores_and_topk
from mmengine.structures import InstanceData

from ..registry import MODELS
from .priors import decode_priors


@MODELS.register_module()
class HarDNetSSDHead(SSDHead):
    """mmdet's SSD head with the original's limit on detections of one class.

    ``test_cfg.max_per_class`` boxes of a class at most survive NMS, before ``max_per_img`` limits
    them all (lzx1413/PytorchSSD, test_net); without it there is no such limit.

    Attributes:
        map_names (tuple[str]): What :meth:`forward` returns, a list by level of each.
        output_names (tuple[str]): What :meth:`decode` makes of that.
    """

    map_names = ('logits', 'deltas')
    output_names = ('boxes', 'scores')

    def decode(self, logits, deltas, image_size):
        """Return the boxes and scores of all priors, before any is dropped.

        Args:
            logits (Sequence[Tensor]): Of each level, ``(N, A * (classes + 1), H, W)``, for A priors
                of a cell.
            deltas (Sequence[Tensor]): Of each level, ``(N, A * 4, H, W)``.
            image_size (Sequence[int]): Height and width of the image in pixels.

        Returns:
            tuple[Tensor]: Boxes ``(N, P, 4)``, x1 y1 x2 y2 in pixels, and scores
            ``(N, classes, P)`` in 0..1; see :func:`decode_priors`.
        """
        return decode_priors(self, logits, deltas, image_size)

    def _predict_by_feat_single(
        self,
        cls_score_list,
        bbox_pred_list,
        score_factor_list,
        mlvl_priors,
        img_meta,
        cfg,
        rescale=False,
        with_nms=True,
    ):
        """Return the detections of one image, an ``InstanceData``, best first."""
        cfg = copy.deepcopy(self.test_cfg if cfg is None else cfg)
        maps = ([level[None] for level in part] for part in (cls_score_list, bbox_pred_list))
        (all_boxes,), (all_scores,) = self.decode(*maps, img_meta['img_shape'][:2])
        counts = [len(priors) for priors in mlvl_priors]
        limits = (cfg.get('score_thr', 0), cfg.get('nms_pre', -1))
        levels = []
        for boxes, scores in zip(all_boxes.split(counts), all_scores.T.split(counts)):
            scores, labels, _, boxes = filter_scores_and_topk(scores, *limits, boxes)
            levels.append(InstanceData(bboxes=boxes, scores=scores, labels=labels))
        results = InstanceData.cat(levels)
        return self._bbox_post_process(results, cfg, rescale, with_nms, img_meta)

    def _bbox_post_process(self, results, cfg, rescale=False, with_nms=True, img_meta=None):
        """Return the detections of one image, an ``InstanceData``, best first."""
        max_per_img = cfg.max_per_img
        cfg.max_per_img = len(results)
        results = super()._bbox_post_process(results, cfg, rescale, with_nms, img_meta)
        if with_nms and 'max_per_class' in cfg:
            results = results[rank_in_class(results.labels) < cfg.max_per_class]
        return results[:max_per_img] if with_nms else results


def rank_in_class(labels):
    """Return how many earlier entries have the same label, ``(N,)`` int64, for labels ``(N,)``."""
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    first = counts.cumsum(0) - counts
    position = torch.arange(len(labels), device=labels.device)
    ranks = torch.empty_like(order)
    ranks[order] = position - first[labels[order]]
    return ranks
