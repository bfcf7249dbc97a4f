"""An exported file in the model's place."""

import numpy as np
import torch
from torch import nn


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
