"""The end-to-end model of classifiers."""

import torch

from ...utils.errors import InputError
from .model import EndToEndModel

# The activations that a classification head may apply to logits, and their inverses, both from
# (N, classes) to (N, classes).
ACTIVATIONS = dict(
    softmax=(lambda logits: logits.softmax(dim=1), torch.log),
    sigmoid=(torch.sigmoid, torch.logit),
    none=(lambda logits: logits, lambda scores: scores),
)


class EndToEndClassifier(EndToEndModel):
    """A classifier as one function of the images.

    The output is ``scores`` (N, classes), with the head's own activation: softmax, sigmoid or none.

    Args:
        model (nn.Module): The model.
        inside (str): As in :class:`EndToEndModel`.
        classes (Sequence[str], optional): As in :class:`EndToEndModel`.

    Raises:
        ValueError: If the head has another activation.
    """

    raw_names = final_names = ('scores',)

    def __init__(self, model, inside='nms', classes=None):
        super().__init__(model, inside, classes)
        self.activate, self.invert = ACTIVATIONS[find_activation(model.head)]

    def network(self, images):
        """Map normalised images to the outputs."""
        return (self.activate(self.model(images, mode='tensor')),)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, with the head's own labels."""
        scores = torch.from_numpy(outputs['scores'])
        samples = self.model.head._get_predictions(self.invert(scores), samples)
        for sample, row in zip(samples, scores):
            sample.set_pred_score(row)
        return samples


def find_activation(head):
    """Return which of :data:`ACTIVATIONS` a head applies to its logits, by trying it.

    Raises:
        ValueError: If it is none of them.
    """
    classes = getattr(head, 'num_classes', 1000)
    logits = torch.linspace(-3, 3, 2 * classes).view(2, classes)
    try:
        samples = head._get_predictions(logits, None)
        scores = torch.stack([sample.pred_score for sample in samples])
    except Exception as error:
        raise InputError(_no_activation(head)) from error
    for name, (activate, _) in ACTIVATIONS.items():
        wanted = activate(logits)
        if scores.shape == wanted.shape and torch.allclose(scores, wanted):
            return name
    raise InputError(_no_activation(head))


def _no_activation(head):
    return (
        f'a classifier with a {type(head).__name__} cannot be exported: its scores must be softmax '
        'or sigmoid of one output per class, or that output'
    )
