"""The base class of end-to-end models: normalisation, network, and named outputs."""

import torch
from torch import nn

from ...utils.errors import InputError


class EndToEndModel(nn.Module):
    """A model as one function of the images: normalisation, network, and named outputs.

    Args:
        model (nn.Module): The model, as :func:`to_deploy` returns it.
        inside (str): The last step that the function contains: 'network', 'decode' or 'nms'.
            Defaults to 'nms'.
        classes (Sequence[str], optional): Names of the classes, which are stored in the file.

    Attributes:
        raw_names (tuple[str]): Names of the network's outputs.
        final_names (tuple[str]): Names of the outputs after all steps.
        names (tuple[str]): Names of the outputs of this model, in order.
        any_size (bool): Whether height and width of the images are free.
    """

    raw_names: tuple[str, ...] = ()
    final_names: tuple[str, ...] = ()
    any_size = True

    def __init__(self, model, inside='nms', classes=None):
        super().__init__()
        self.model, self.classes = model, classes and list(classes)
        self.names = self.raw_names if inside == 'network' else self.final_names
        preprocessor = model.data_preprocessor
        self.swap = bool(
            getattr(preprocessor, 'to_rgb', False)
            or getattr(preprocessor, '_channel_conversion', False)
            or getattr(preprocessor, 'channel_conversion', False)
        )
        normalized = getattr(preprocessor, '_enable_normalize', True)
        mean = preprocessor.mean if normalized else torch.zeros(1, 1, 1)
        std = preprocessor.std if normalized else torch.ones(1, 1, 1)
        # whole numbers in a config are integers here, which ncnn would read as floats
        self.register_buffer('mean', mean.detach().float())
        self.register_buffer('std', std.detach().float())

    def forward(self, images):
        """Map images ``(N, 3, H, W)`` to a tuple of outputs."""
        outputs = self.raw(images)
        if self.names == self.raw_names:
            return outputs
        return self.finish(images.shape[2:], *outputs)

    def normalized(self, images):
        """Return the normalised images, the network's input."""
        images = images.flip(1) if self.swap else images
        return (images - self.mean) / self.std

    def raw(self, images):
        """Return the outputs of the network alone, in the order of ``raw_names``."""
        return self.network(self.normalized(images))

    def check_input(self, item):
        """Refuse an image that the model's preprocessor changes in a way that a file does not.

        Args:
            item (dict): ``inputs`` and ``data_samples`` of an image, as a data set returns them.

        Raises:
            ValueError: If the preprocessor pads the image, or does more than normalise it.
        """
        batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples'].clone()])
        wanted = self.model.data_preprocessor(batch, False)['inputs']
        wanted = torch.stack(list(wanted)) if isinstance(wanted, (list, tuple)) else wanted
        found = self.normalized(item['inputs'][None].float())
        if wanted.shape != found.shape:
            before, after = (' x '.join(map(str, part.shape[2:])) for part in (found, wanted))
            raise InputError(
                f"the model's data_preprocessor pads an image of {before} to {after}, and an "
                'exported file does not: in the test pipeline, resize images to a size that it '
                'leaves as it is'
            )
        if not torch.allclose(found, wanted, rtol=1e-3, atol=1e-3):
            raise InputError(
                f"the model's data_preprocessor, {type(self.model.data_preprocessor).__name__}, "
                'changes images otherwise than by mean, std and the order of the channels, which '
                'an exported file does not'
            )

    def tested_as(self, sample):
        """Set the ratio of image size and tested size from a data sample, if outputs need it."""

    def resizes_otherwise(self, sample):
        """Return whether an image's resize ratio differs from that set by :meth:`tested_as`."""
        return False

    def finished(self, outputs, samples):
        """Apply the steps that a file does not contain to its outputs, a dict of arrays."""
        if set(outputs) != set(self.raw_names) or self.raw_names == self.final_names:
            return outputs
        raw = (torch.from_numpy(outputs[name]) for name in self.raw_names)
        outputs = self.finish(samples[0].img_shape[:2], *raw)
        return {name: output.numpy() for name, output in zip(self.final_names, outputs)}
