"""Whether a model computes what an original program does, whose outputs tests/data/ holds."""

import torch

from hardnet_mm.checkpoints import convert_official
from helpers.stand_in import fill_state_dict, sample


def load_original(model, expected):
    """Give a model the stand-in weights that an original program had.

    Args:
        model (nn.Module): With this plugin's keys.
        expected (dict): A file of tests/data/.

    Returns:
        nn.Module: The model, in evaluation mode.
    """
    model.load_state_dict(convert_official(fill_state_dict(expected['state_dict'])))
    return model.eval()


def assert_original_outputs(outputs, expected, tolerance):
    """Compare a model's outputs with those of an original program, on the same weights.

    Args:
        outputs (dict[str, Tensor]): The model's, by the names in the file; others are left out.
        expected (dict): A file of tests/data/: the shape of each output, its mean and standard
            deviation, and values spread over it.
        tolerance (float): How far values, mean and standard deviation may lie from the original's,
            as a share of its largest value.
    """
    assert expected['outputs']
    for name, wanted in expected['outputs'].items():
        found = sample(outputs[name])
        assert found['shape'] == wanted['shape'], name
        found, values = (
            torch.tensor([*of['values'], of['mean'], of['std']]) for of in (found, wanted)
        )
        error = (found - values).abs().max() / values.abs().max()
        assert error < tolerance, f'{name}: relative error {error:.2g}'
