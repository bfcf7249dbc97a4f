"""Hooks for the training loops of the toolboxes."""

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.structures import BaseDataElement
from torch import nn

from ..registry import HOOKS
from ..utils.errors import InputError


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Raise an error for labels outside the model's classes, and name the file.

    Without this hook, the loss would fail with an index error that names no file, or with a failed
    GPU kernel, and evaluation would ignore such labels. A mask of another size than its image is
    refused too. Batches of classification and segmentation are checked on the CPU, so that the GPU
    is not synchronised. Detection does not need the hook, since mmdet's ``NumClassCheckHook`` is
    sufficient there.
    """

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Check the labels of a batch.

        Raises:
            InputError: If a label is not one of the model's classes, or a mask has not the size of
                its input.
        """
        for image, sample in _samples(data_batch):
            _check_size(sample, image.shape[-2:])
            self._check_labels(sample, runner.model)

    def before_val_iter(self, runner, batch_idx, data_batch=None):
        """Check the labels of a batch, whose masks have the size of the file of their image.

        Raises:
            InputError: As :meth:`before_train_iter`.
        """
        for _, sample in _samples(data_batch):
            _check_size(sample, sample.get('ori_shape'))
            self._check_labels(sample, runner.model)

    before_test_iter = before_val_iter

    def _check_labels(self, sample, model):
        place, head = self._head(model)
        num_classes = getattr(head, 'num_classes', None)
        if not num_classes:
            return
        if 'gt_sem_seg' in sample:
            labels, file = sample.gt_sem_seg.data, 'seg_map_path'
            ignored = getattr(head, 'ignore_index', None)
        elif 'gt_label' in sample:
            labels, file, ignored = sample.gt_label, 'img_path', None
        else:
            return
        wrong = _labels_of_no_class(labels.cpu().numpy(), num_classes, ignored)
        if len(wrong):
            other = '' if ignored is None else f', or {ignored} for what does not count'
            raise InputError(
                f'{sample.get(file)} has the label {wrong[0]}, and the model {num_classes} '
                f'classes: labels are from 0 to {num_classes - 1}{other}. Correct the labels, '
                f'or set model.{place}.num_classes'
            )

    @staticmethod
    def _head(model):
        """Return the place and the module of the head of a model of mmseg or mmpretrain."""
        model = model.module if is_model_wrapper(model) else model
        place = 'decode_head' if hasattr(model, 'decode_head') else 'head'
        head = getattr(model, place, None)
        if isinstance(head, nn.ModuleList):  # a cascade's last
            return f'{place}.{len(head) - 1}', head[-1]
        return place, head


def _samples(data_batch):
    """Return pairs of an image and its data sample, none if the batch has no such samples."""
    if not isinstance(data_batch, dict):
        return []
    pairs = zip(data_batch.get('inputs', ()), data_batch.get('data_samples') or ())
    return [pair for pair in pairs if isinstance(pair[1], BaseDataElement)]


def _check_size(sample, size):
    if 'gt_sem_seg' not in sample or size is None:
        return
    shape, mask = tuple(sample.gt_sem_seg.data.shape), sample.get('seg_map_path')
    if shape[0] != 1:  # (H, W, C) from mmseg's PackSegInputs
        raise InputError(f'the mask {mask} has {shape[-1]} channels: labels are one channel')
    if shape[1:] != tuple(size):
        raise InputError(
            f'the mask {mask} has {shape[1]} x {shape[2]} pixels, and its image '
            f'{sample.get("img_path")} {size[0]} x {size[1]}: they must agree'
        )


def _labels_of_no_class(labels, num_classes, ignored):
    """Return the labels that are neither a class nor ignored.

    A map of labels is int64 here. Its values fit into bytes, as mmseg loads them, and searching
    bytes is faster.
    """
    if ignored is not None and labels.min() >= 0 and labels.max() <= 255:
        labels = labels.astype(np.uint8)
    wrong = (labels < 0) | (labels >= num_classes)
    return labels[wrong if ignored is None else wrong & (labels != ignored)]


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Raise an error if the loss is not finite, and name the images of the batch.

    mmdet's ``CheckInvalidLossHook`` does not name images, and only exists in mmdet. The hook adds
    no synchronisation with the GPU, because mmengine's log reads the loss in each iteration anyway.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Check the losses of an iteration, before a checkpoint of it is saved.

        Raises:
            InputError: If their sum is not finite.
        """
        values = {
            name: torch.as_tensor(value).detach()
            for name, value in (outputs or {}).items()
            if isinstance(value, (torch.Tensor, float, int))
        }
        loss = values.pop('loss', torch.tensor(0.0))
        if loss.isfinite().all():
            return
        parts = [f'{name} {value:.4g}' for name, value in values.items() if value.numel() == 1]
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
        paths = [str(sample.get('img_path')) for sample in samples or ()]
        raise InputError(
            f'the loss is {float(loss)} at iteration {runner.iter + 1} ({", ".join(parts)}), of '
            f'the images {", ".join(paths)}. Look at those and their annotations; where they are '
            'right, take a smaller learning rate, or clip_grad in optim_wrapper'
        )


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Convert the model to channels-last, the layout that tensor cores and oneDNN prefer.

    Inputs need no conversion: the output of a convolution has the layout of its weights.
    """

    def before_run(self, runner):
        """Convert the model, before the first iteration of training, validation or testing."""
        runner.model.to(memory_format=torch.channels_last)
