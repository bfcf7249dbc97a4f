"""What every end-to-end model does: normalisation, network, and outputs by name."""

import torch
from torch import nn

from ...utils.errors import InputError


class EndToEndModel(nn.Module):
    """Normalisation, network, and outputs by name.

    Args:
        model (nn.Module): The model, as :func:`to_deploy` returns it.
        inside (str): What is inside: 'nms', 'decode' or 'network'. Defaults to 'nms'.
        classes (Sequence[str], optional): Names of the classes, which a file then holds.

    Attributes:
        raw_names (tuple[str]): Names of the network's outputs.
        final_names (tuple[str]): Names of the outputs with all that follows the network.
        names (tuple[str]): Names of what it returns, in their order.
        any_size (bool): Whether height and width are free.
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
        """Return the images as the network takes them."""
        images = images.flip(1) if self.swap else images
        return (images - self.mean) / self.std

    def raw(self, images):
        """Return the outputs of the network alone, a tuple by ``raw_names``."""
        return self.network(self.normalized(images))

    def check_input(self, item):
        """Refuse an image that the model's preprocessor treats otherwise than a file does.

        Args:
            item (dict): ``inputs`` and ``data_samples`` of an image, as a data set gives them.

        Raises:
            ValueError: If the preprocessor pads it, or changes its values in another way.
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
        """Take from a data sample how images are resized for testing, where an output tells."""

    def resizes_otherwise(self, sample):
        """Tell if an image is resized for testing by another ratio than :meth:`tested_as` took."""
        return False

    def finished(self, outputs, samples):
        """Return the outputs of a file, arrays by name, with what the file does not hold done."""
        if set(outputs) != set(self.raw_names) or self.raw_names == self.final_names:
            return outputs
        raw = (torch.from_numpy(outputs[name]) for name in self.raw_names)
        outputs = self.finish(samples[0].img_shape[:2], *raw)
        return {name: output.numpy() for name, output in zip(self.final_names, outputs)}
