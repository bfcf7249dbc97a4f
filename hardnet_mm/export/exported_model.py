"""An exported file that replaces the model in a test loop."""

import numpy as np
import torch
from torch import nn

from ..utils.datasets import count_classes
from ..utils.errors import InputError


def check_classes(path, runtime, model):
    """Refuse an exported file with another number of classes than a model.

    Args:
        path (str): Path of the file.
        runtime (callable): The loaded file.
        model (nn.Module): The config's model.

    Raises:
        InputError: If the numbers differ. A file without names of classes is not checked.
    """
    count = count_classes(model)
    if runtime.classes and count is not None and len(runtime.classes) != count:
        raise InputError(
            f'{path} is not of this config: it has {len(runtime.classes)} classes, and the '
            f'config {count}'
        )


class ExportedModel(nn.Module):
    """An exported file that replaces the model in a runner's test loop.

    Args:
        end_to_end (EndToEndModel): The exported model, for the steps that the file does not
            contain.
        runtime (callable): The loaded file.
    """

    def __init__(self, end_to_end, runtime):
        super().__init__()
        self.end_to_end, self.runtime = end_to_end, runtime

    def test_step(self, data):
        """Return the data samples of a batch with their predictions."""
        images = torch.stack(list(data['inputs'])).float().numpy()
        outputs = self.runtime(np.ascontiguousarray(images))
        return self.end_to_end.attach(outputs, data['data_samples'])
