"""Hooks for the training loops of the toolboxes."""

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn

from ..registry import HOOKS
from ..utils.errors import InputError


@HOOKS.register_module()
class LabelCheckHook(Hook):
    """Refuse labels that the model has no class for, and say in which file.

    A loss would end in an index that is out of bounds, of no file, or in a failed kernel. Each
    batch of classification or segmentation is looked at while it is on the CPU, so no GPU is waited
    for. (mmdet's ``NumClassCheckHook`` is enough for detection: its labels are indices of classes.)
    """

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        """Look at a batch's labels.

        Raises:
            InputError: If there is a label of no class.
        """
        head = self._head(runner.model)
        num_classes = getattr(head, 'num_classes', None)
        samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
        if not num_classes or not samples:
            return
        for sample in samples:
            if 'gt_sem_seg' in sample:
                labels, file = sample.gt_sem_seg.data, 'seg_map_path'
                ignored = getattr(head, 'ignore_index', None)
            elif 'gt_label' in sample:
                labels, file, ignored = sample.gt_label, 'img_path', None
            else:
                continue
            wrong = _labels_of_no_class(labels.cpu().numpy(), num_classes, ignored)
            if len(wrong):
                other = '' if ignored is None else f', or {ignored} for what does not count'
                raise InputError(
                    f'{sample.get(file)} has the label {wrong[0]}, and the model {num_classes} '
                    f'classes: labels are from 0 to {num_classes - 1}{other}. Mend the labels, or '
                    "set num_classes of the model's head"
                )

    @staticmethod
    def _head(model):
        """Return what the loss is computed in, of a model of mmseg or mmpretrain."""
        model = model.module if is_model_wrapper(model) else model
        head = getattr(model, 'decode_head', getattr(model, 'head', None))
        return head[-1] if isinstance(head, nn.ModuleList) else head  # a cascade's last


def _labels_of_no_class(labels, num_classes, ignored):
    """Return the labels that are neither a class nor ignored.

    A map of labels is int64 by now, but mmseg loads bytes, and as bytes it is searched faster.
    """
    if ignored is not None and labels.min() >= 0 and labels.max() <= 255:
        labels = labels.astype(np.uint8)
    wrong = (labels < 0) | (labels >= num_classes)
    return labels[wrong if ignored is None else wrong & (labels != ignored)]


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop at a loss that is no finite number, and name the images of its batch.

    mmdet's ``CheckInvalidLossHook`` names none, and is mmdet's alone. mmengine's log reads the loss
    at every iteration, so that looking at it waits for no GPU longer.
    """

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Look at an iteration's losses, before anything of it is saved.

        Raises:
            InputError: If their sum is no finite number.
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
    """Lay the model's convolutions out channels-last, which tensor cores and oneDNN prefer.

    Inputs follow by themselves: a convolution's output takes the layout of its weights.
    """

    def before_run(self, runner):
        """Convert the model, before the first iteration of training, validation or testing."""
        runner.model.to(memory_format=torch.channels_last)
