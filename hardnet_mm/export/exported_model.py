"""An exported file in the model's place."""

import numpy as np
import torch
from torch import nn

from ..utils.datasets import count_classes
from ..utils.errors import InputError


def check_classes(path, runtime, model):
    """Refuse an exported file with another number of classes than a model.

    Args:
        path (str): The file.
        runtime (callable): It, loaded.
        model (nn.Module): The config's.

    Raises:
        InputError: If it is of another model. A file without names of classes is not looked at.
    """
    count = count_classes(model)
    if runtime.classes and count is not None and len(runtime.classes) != count:
        raise InputError(
            f'{path} is not of this config: it has {len(runtime.classes)} classes, and the '
            f'config {count}'
        )


class ExportedModel(nn.Module):
    """An exported file in the model's place in a runner's test loop.

    Args:
        end_to_end (EndToEndModel): The model that was exported, for what the file does not hold.
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
