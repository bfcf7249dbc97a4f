"""The forms that a model is measured in."""

import torch

DTYPES = dict(float32=torch.float32, bfloat16=torch.bfloat16, float16=torch.float16)


def eager(subject, images):
    """Return the model as it stands."""
    return subject, images


def channels_last(subject, images):
    """Return the model laid out channels-last."""
    layout = dict(memory_format=torch.channels_last)
    return subject.to(**layout), images.to(**layout)


FORMS = {'eager': eager, 'channels-last': channels_last}
