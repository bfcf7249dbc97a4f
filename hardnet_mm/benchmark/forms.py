"""The forms in which a model is measured.

Each form is a function of a :class:`~hardnet_mm.benchmark.models.Subject`, an image batch ``(N, 3,
H, W)`` and a key of :data:`DTYPES`. It returns a function without arguments: one forward pass, to
be timed. The subject's model may be changed in place.
"""

import tempfile
from functools import partial
from pathlib import Path

import torch
from torch import nn

from ..deploy import to_deploy
from ..export.formats import FORMATS, RUNTIMES
from ..export.quantization import QUANTIZERS

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


def eager(subject, images, dtype):
    """The unchanged model."""
    return partial(subject.to(DTYPES[dtype]), images.to(DTYPES[dtype]))


def channels_last(subject, images, dtype):
    """The model and the images in channels-last layout."""
    layout = dict(dtype=DTYPES[dtype], memory_format=torch.channels_last)
    return partial(subject.to(**layout), images.to(**layout))


def deploy(subject, images, dtype):
    """The inference form of :func:`hardnet_mm.deploy.to_deploy`."""
    subject.model = to_deploy(subject.model, DTYPES[dtype])
    return partial(subject, images)


def deploy_direct(subject, images, dtype):
    """The inference form without Winograd's algorithm."""
    subject.model = to_deploy(subject.model, DTYPES[dtype], winograd=False)
    return partial(subject, images)


def inductor(subject, images, dtype):
    """The inference form, compiled by PyTorch's inductor with frozen weights."""
    from torch._inductor import config

    config.freezing = True
    subject.model = to_deploy(subject.model, DTYPES[dtype])
    compiled = torch.compile(subject)
    with torch.no_grad():
        compiled(images)  # the first call compiles
    return partial(compiled, images)


class FlatOutputs(nn.Module):
    """A model with a flat tuple of outputs, as the export formats need it.

    Args:
        subject (Subject): The model.
        images (Tensor): ``(N, 3, H, W)``, to count the outputs.
    """

    any_size, classes = False, None

    def __init__(self, subject, images):
        super().__init__()
        self.subject = subject
        self.names = [f'out{index}' for index in range(len(self(images)))]

    def forward(self, images):
        """Map images ``(N, 3, H, W)`` to a tuple of tensors."""
        return tuple(flatten(self.subject(images)))


def flatten(outputs):
    """Yield the tensors of nested tuples and lists, in order."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    else:
        for output in outputs:
            yield from flatten(output)


def exported(subject, images, dtype, name, int8=False):
    """The model exported to the format ``name``, run by that format's runtime.

    For int8, the timed images are the calibration data. That is enough for timing.
    """
    subject.model = to_deploy(subject.model, channels_last=False)
    kind = RUNTIMES[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'model' + FORMATS[name].suffix)
        kind.convert(FlatOutputs(subject, images).eval(), images, path)
        if int8:
            QUANTIZERS[name](path, [images.numpy()])
        runtime = kind(path, threads=torch.get_num_threads(), dtype=dtype)
    return partial(runtime, images.numpy())


FORMS = {
    'eager': eager,
    'channels-last': channels_last,
    'deploy': deploy,
    'deploy-direct': deploy_direct,
    'inductor': inductor,
    **{name: partial(exported, name=name) for name in FORMATS},
    **{f'{name}-int8': partial(exported, name=name, int8=True) for name in QUANTIZERS},
}
