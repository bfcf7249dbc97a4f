"""Hooks: one that the tools add to a runner, and some for a config that wants them."""

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from torch import nn

from .deploy import to_deploy
from .registry import HOOKS
from .utils.errors import InputError


class CheckpointMatchHook(Hook):
    """Refuse a checkpoint of another model, which mmengine would only warn of.

    Testing or resuming means this very model: every one of its tensors must be in the checkpoint,
    in its shape. Fine-tuning by ``load_from`` may leave some out.
    """

    priority = 'LOW'  # after EMAHook, which puts the averaged weights in the checkpoint's place

    def after_load_checkpoint(self, runner, checkpoint):
        """Compare the loaded file with the model, before its tensors are copied.

        Raises:
            InputError: If a tensor of the model is missing or of another shape.
        """
        loaded, wanted = _tensors(runner, checkpoint)
        wrong = [
            f'{key} {tuple(value.shape)} is {tuple(loaded[key].shape) if key in loaded else None}'
            for key, value in wanted.items()
            if key not in loaded or loaded[key].shape != value.shape
        ]
        if wrong:
            raise InputError(
                f'the checkpoint is not one of this config: {len(wrong)} of the '
                f"model's {len(wanted)} tensors are missing or of another shape, "
                f'the first: {"; ".join(wrong[:3])}'
            )


class PartialCheckpointHook(Hook):
    """Say in one line what a model takes from a checkpoint to fine-tune, where mmengine lists keys.

    Whole parts may be new, as a detector's head is to ImageNet's weights; a checkpoint that has
    nothing for the model is refused.
    """

    priority = 'LOW'  # after EMAHook

    def after_load_checkpoint(self, runner, checkpoint):
        """Compare, tell, and fill the checkpoint up from the model, so that the rest is silent.

        Raises:
            InputError: If no tensor of the model is in the checkpoint, in its shape.
        """
        loaded, wanted = _tensors(runner, checkpoint)
        taken = {
            key: value
            for key, value in loaded.items()
            if key in wanted and wanted[key].shape == value.shape
        }
        if not taken:
            raise InputError(
                f'the checkpoint has nothing for this model: its tensors are {[*loaded][:3]} and '
                f"others, the model's {[*wanted][:3]} and others"
            )
        # mmengine does not miss counters of batches, either
        missing = {key for key in wanted.keys() - loaded.keys() if 'num_batches_tracked' not in key}
        groups = {
            'new': _outermost(missing, loaded),
            'new, since of another shape': sorted(wanted.keys() & loaded.keys() - taken.keys()),
            'not used': _outermost(loaded.keys() - wanted.keys(), wanted),
        }
        parts = [f'{words}: {", ".join(keys)}' for words, keys in groups.items() if keys]
        runner.logger.info(
            '; '.join([f"{len(taken)} of the model's {len(wanted)} tensors are loaded", *parts])
        )
        filled = {**wanted, **taken}
        if 'state_dict' in checkpoint:
            checkpoint['state_dict'] = filled
        else:
            checkpoint.clear()
            checkpoint.update(filled)


def _tensors(runner, checkpoint):
    """Return the tensors of a checkpoint and of the model that it is for, by their names."""
    model = runner.model
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    loaded = checkpoint.get('state_dict', checkpoint)
    loaded = {key.removeprefix('module.'): value for key, value in loaded.items()}
    return loaded, model.state_dict()


def _outermost(keys, others):
    """Return the names of the outermost modules that hold some keys and none of the others."""
    shared = {key[:end] for key in others for end, letter in enumerate(key) if letter == '.'}
    names = []
    for key in sorted(keys):
        parts = key.split('.')
        prefixes = ('.'.join(parts[: count + 1]) for count in range(len(parts)))
        names.append(next((prefix for prefix in prefixes if prefix not in shared), key))
    return list(dict.fromkeys(names))


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
class ChannelsLastHook(Hook):
    """Lay the model's convolutions out channels-last, which tensor cores and oneDNN prefer.

    Inputs follow by themselves: a convolution's output takes the layout of its weights.
    """

    def before_run(self, runner):
        """Convert the model, before the first iteration of training, validation or testing."""
        runner.model.to(memory_format=torch.channels_last)


@HOOKS.register_module()
class DeployHook(Hook):
    """Test the inference form of the model, :func:`hardnet_mm.deploy.to_deploy`.

    Args:
        dtype (str): Name of the type that it computes in. Defaults to 'float32'.
    """

    def __init__(self, dtype='float32'):
        self.dtype = getattr(torch, dtype)

    def before_test(self, runner):
        """Put the inference form in the model's place; the weights are loaded by now."""
        model = runner.model
        runner.model = to_deploy(model.module if is_model_wrapper(model) else model, self.dtype)
