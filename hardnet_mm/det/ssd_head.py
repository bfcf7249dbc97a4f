"""SSD's head: mmdet's, with the decoding and prediction of the original SSD."""

import copy
import warnings
from collections.abc import Sequence
from typing import Any

import torch
from mmdet.models.dense_heads import SSDHead
from mmdet.models.utils import filter_scores_and_topk
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from ..registry import MODELS
from ..utils.arguments import typed
from ..utils.errors import InputError
from ..utils.initialization import PYTORCH_INIT
from .priors import decode_priors


@MODELS.register_module()
class HarDNetSSDHead(SSDHead):
    """mmdet's SSD head with the original's losses, box coordinates and limit per class.

    With several processes, losses are divided by the positives of the total batch, as in the
    original. mmdet divides by the positives of one process.

    ``test_cfg.max_per_class`` limits the boxes of each class after NMS, before ``max_per_img``
    limits the boxes of all classes (lzx1413/PytorchSSD, test_net). Without it there is no limit per
    class.

    Args:
        inclusive_boxes (bool): Whether the network was trained with inclusive box coordinates, as
            :class:`InclusiveBoxes` makes them and the original has them on COCO. A pixel of the
            image before resizing is then added to width and height of predicted boxes, before NMS,
            so that the outputs are in mmdet's coordinates. Defaults to False.
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to the original's:
            PyTorch's own weights and zero biases.
        **kwargs: The other arguments of ``SSDHead``.

    Attributes:
        map_names (tuple[str]): Names of what :meth:`forward` returns: of each a list over levels.
        output_names (tuple[str]): Names of what :meth:`decode` returns.
    """

    map_names = ('logits', 'deltas')
    output_names = ('boxes', 'scores')

    @typed
    def __init__(
        self,
        *args: Any,
        inclusive_boxes: bool = False,
        init_cfg: dict | list | None = PYTORCH_INIT,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, init_cfg=init_cfg, **kwargs)
        self.inclusive_boxes = inclusive_boxes

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        *args: Any,
        **kwargs: Any,
    ) -> dict[str, list[Tensor]]:
        """Return the losses; see ``SSDHead.loss_by_feat``.

        Raises:
            InputError: If ``inclusive_boxes`` contradicts the training pipeline.
        """
        self._check_boxes(batch_img_metas)
        return super().loss_by_feat(
            cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, *args, **kwargs
        )

    def get_targets(self, *args: Any, **kwargs: Any) -> tuple:
        """Return the targets of a batch; see ``AnchorHead.get_targets``.

        The number of positives is the mean over all processes, because gradients are averaged over
        the processes.
        """
        labels, label_weights, targets, target_weights, positives = super().get_targets(
            *args, **kwargs
        )
        # filled there: a number that is copied to a GPU waits for it
        positives = reduce_mean(targets[0].new_full((), positives))
        return labels, label_weights, targets, target_weights, positives

    def _check_boxes(self, metas: list[dict]) -> None:
        """Compare ``inclusive_boxes`` with the pipeline's mark, if there is one."""
        marked = any(meta.get('inclusive_boxes') for meta in metas)
        if marked and not self.inclusive_boxes:
            raise InputError(
                'the training boxes end at their last pixel (InclusiveBoxes in the pipeline), and '
                'model.bbox_head.inclusive_boxes is False: set it to True, or take that out'
            )
        if self.inclusive_boxes and not marked:
            warnings.warn(
                'model.bbox_head.inclusive_boxes is True, and no InclusiveBoxes in the training '
                'pipeline is known of: predicted boxes will be a pixel too large. Put '
                "dict(type='InclusiveBoxes') after LoadAnnotations and 'inclusive_boxes' into "
                "PackDetInputs's meta_keys, or set it to False",
                stacklevel=2,
            )

    def decode(
        self,
        logits: Sequence[Tensor],
        deltas: Sequence[Tensor],
        image_size: Sequence[int],
        pixel_size: Sequence[float] = (1, 1),
    ) -> tuple[Tensor, Tensor]:
        """Return the boxes and scores of all priors, before any is dropped.

        Args:
            logits (Sequence[Tensor]): Class scores of each level, ``(N, A * (classes + 1), H, W)``,
                for A priors per position.
            deltas (Sequence[Tensor]): Encoded boxes of each level, ``(N, A * 4, H, W)``.
            image_size (Sequence[int]): Height and width of the image in pixels.
            pixel_size (Sequence[float]): Width and height of a pixel of the original image, in
                pixels of the resized one. With ``inclusive_boxes`` boxes are enlarged by it.
                Defaults to (1, 1).

        Returns:
            tuple[Tensor]: Boxes ``(N, P, 4)``, x1 y1 x2 y2 in pixels, and scores
            ``(N, classes, P)`` in 0..1; see :func:`decode_priors`.
        """
        last_pixel = pixel_size if self.inclusive_boxes else (0, 0)
        return decode_priors(self, logits, deltas, image_size, last_pixel)

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
        (all_boxes,), (all_scores,) = self.decode(
            *maps, img_meta['img_shape'][:2], own_pixel_size(img_meta)
        )
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


def own_pixel_size(img_meta: dict) -> tuple[float, ...]:
    """Return width and height of a pixel of the original image, in pixels of the resized image."""
    return tuple(float(side) for side in img_meta.get('scale_factor', (1, 1)))[:2]


def rank_in_class(labels: Tensor) -> Tensor:
    """Return how many earlier entries have the same label, ``(N,)`` int64, for labels ``(N,)``."""
    order = labels.argsort(stable=True)
    counts = torch.bincount(labels)
    first = counts.cumsum(0) - counts
    position = torch.arange(len(labels), device=labels.device)
    ranks = torch.empty_like(order)
    ranks[order] = position - first[labels[order]]
    return ranks
