"""Converts a trained model to its inference form."""

import copy

import torch
from torch import nn

from ..kernels.cpu.buffers import MemoryPool
from .cuda_graphs import GraphedFunction
from .fuse import Fusion
from .fused_stage import FusedStem
from .linked import can_link

DTYPES = (None, torch.float32, torch.bfloat16, torch.float16)


@torch.inference_mode(False)  # the weights of a model that outlives the caller's inference mode
@torch.no_grad()
def to_deploy(
    model: nn.Module,
    dtype: torch.dtype | None = None,
    channels_last: bool = True,
    winograd: bool = True,
    cuda_graphs: bool = True,
) -> nn.Module:
    """Return the inference form of a backbone, classifier, detector or segmentor.

    Norms are folded into the convolutions, activations are computed together with them, and tensors
    are channels-last. On a CPU, Winograd's algorithm computes large 3x3 convolutions, HarDNet
    blocks are computed without concatenations, and the next run reuses the buffers of intermediate
    tensors. On a GPU, in float16 or bfloat16, HarDNet's convolutions read their links in place, and
    the kernels of each part are launched as a CUDA graph.

    The model's interface does not change. In float32 neither do its outputs, up to rounding. Images
    and predictions are float32 for any ``dtype``.

    Args:
        model (nn.Module): The trained model, which is not changed.
        dtype (torch.dtype, optional): Type in which the network computes: float32, bfloat16 or
            float16. The network is the backbone, the neck, and the head of a one-stage detector,
            segmentor or classifier. Defaults to None: the type of the model.
        channels_last (bool): Whether tensors are stored as (N, H, W, C). Defaults to True.
        winograd (bool): Whether to use Winograd's algorithm on a CPU. It needs channels-last
            tensors, and more memory. Defaults to True.
        cuda_graphs (bool): Whether the kernels of backbone, neck and head are each launched as a
            CUDA graph. The first run with an image shape takes longer, and each shape needs memory.
            Defaults to True.

    Returns:
        nn.Module: The inference form, in evaluation mode, without gradients. Its ``state_dict``
        loads into another inference form of the same model.

    Raises:
        ValueError: If ``dtype`` is none of these.
    """
    if dtype not in DTYPES:
        raise ValueError(f'dtype must be one of {DTYPES}, got {dtype}')
    model = copy.deepcopy(model).eval().requires_grad_(False)
    Fusion(MemoryPool(), winograd)(model)
    if channels_last:
        model.to(memory_format=torch.channels_last)
    entry = getattr(model, 'backbone', model)
    parts, ends = _network(model)
    for part in parts:
        part.to(dtype)
    for end in ends:
        # no hook: toolboxes call some by themselves
        end.forward = _PlainOutputs(end.forward, hasattr(model, 'decode_head'))
    entry.forward = _Entry(entry.forward, entry, dtype, channels_last)
    if cuda_graphs:
        for part in parts:
            part.forward = GraphedFunction(part.forward, part)
    return model


def _network(model):
    """Return the parts of a model that compute in ``dtype``, and the last parts among them.

    The outputs of the last parts are converted to float32, in which the toolbox's code computes.
    """
    if not hasattr(model, 'backbone'):
        return [model], [model]
    parts = [getattr(model, name, None) for name in ('backbone', 'neck')]
    parts = [part for part in parts if part is not None]
    stages = ('roi_head', 'mask_head', 'encoder', 'decoder', 'transformer', 'panoptic_head')
    if any(hasattr(model, name) for name in stages):
        return parts, parts[-1:]
    for name in ('bbox_head', 'head', 'decode_head'):
        head = getattr(model, name, None)
        if head is not None:
            return [*parts, head], list(head) if isinstance(head, torch.nn.ModuleList) else [head]
    return parts, parts[-1:]


class _Entry:
    """Converts the images before the network; a class, so that models can be copied and saved."""

    def __init__(self, function, module, dtype, channels_last):
        self.function = function
        self.module = module
        self.dtype = dtype
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, images, *args, **kwargs):
        # with a dtype in any case: without one, a tracer records the device as a constant
        dtype = images.dtype if self.dtype is None else self.dtype
        stem = getattr(self.module, 'stem', None)
        # a stem that takes images as they are
        if not (isinstance(stem, FusedStem) and stem.linkable and can_link(images, dtype)):
            images = images.to(dtype=dtype, memory_format=self.layout)
        return self.function(images, *args, **kwargs)


class _PlainOutputs:
    """Calls a function, and converts its outputs to what the toolboxes' code expects.

    Outputs become float32. They also become contiguous for mmdet and mmpretrain, which call
    ``view()`` on them. mmseg does not, and its argmax over channels is faster on channels-last
    logits.
    """

    def __init__(self, function, any_layout):
        self.function = function
        self.any_layout = any_layout

    def __call__(self, *args, **kwargs):
        return self._plain(self.function(*args, **kwargs))

    def _plain(self, outputs):
        if isinstance(outputs, (list, tuple)):
            return type(outputs)(map(self._plain, outputs))
        outputs = outputs.float() if outputs.is_floating_point() else outputs
        return outputs if self.any_layout else outputs.contiguous()
