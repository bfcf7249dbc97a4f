"""What HarDNet and HarDNetV2 share: a stem, then stages, and outputs by their names."""

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..foundation import BaseModule
from ..utils.errors import InputError

MIN_INPUT_SIZE = 32


class StagedBackbone(BaseModule):
    """A stem and stages, of which some are frozen and some outputs are asked for.

    A subclass sets ``out_indices``, ``frozen_stages`` and ``norm_eval``, and ``stem`` and
    ``stages``, of :class:`~hardnet_mm.backbones.stages.Stage`.

    Args:
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to None:
            He-normal convolutions.
    """

    def __init__(self, init_cfg: dict | list | None = None):
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs of an image batch.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, H and W at least 32 and otherwise free.

        Returns:
            tuple[Tensor]: ``(N, channels[i], H / out_strides[i], W / out_strides[i])``, sizes
            rounded as the pools round them, in the order of ``out_indices``.

        Raises:
            InputError: If H or W is smaller than the deepest stride can divide.
        """
        self._check_size(x.shape[-2], x.shape[-1])
        outputs = {}

        def store(name, feature):
            if name in self.out_indices:
                outputs[name] = feature

        x = self.stem(x, store)
        for index, stage in enumerate(self.stages):
            x = stage(x, store)
            store(index, x)
        return tuple(outputs[index] for index in self.out_indices)

    def _check_size(self, height, width):
        smallest = max(MIN_INPUT_SIZE, *self.out_strides)
        # symbols of a tracer are not compared: they stand for any size
        if isinstance(height, int) and isinstance(width, int) and min(height, width) < smallest:
            raise InputError(
                f'{type(self).__name__} needs an input of at least {smallest} x {smallest} pixels, '
                f'got {height} x {width}'
            )

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return a parameter's depth and the number of depths, for layer-wise learning rates.

        The stem has depth 0, stage i depth i + 1, and what is not the backbone's the last one.
        mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` asks for it.
        """
        num_depths = len(self.stages) + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        part, index, *_ = param_name.removeprefix(prefix).split('.')
        return (int(index) + 1 if part == 'stages' else 0), num_depths

    def _set_output_shapes(self, arch, strides):
        """Set the channels and strides of the outputs, from the stem's and from those of stages."""
        stride = 1
        shapes: dict[str | int, tuple[int, int]] = {}  # of each output that there is
        for i, width in enumerate(arch['stem_channels']):
            stride *= arch['stem_strides'][i]
            shapes[f'stem{i}'] = width, stride
        for index, stage in enumerate(self.stages):
            stride *= strides[index]
            shapes[f'block{index}'] = stage.block_channels, stride
            shapes[index] = stage.out_channels, stride
        self.channels = tuple(shapes[index][0] for index in self.out_indices)
        self.out_strides = tuple(shapes[index][1] for index in self.out_indices)

    def _check_frozen_stages(self, num_stages):
        if not -1 <= self.frozen_stages <= num_stages:
            raise ValueError(
                f'frozen_stages must be -1 to {num_stages}, the stages that out_indices '
                f'{self.out_indices} need, got {self.frozen_stages}'
            )

    def _freeze_stages(self):
        if self.frozen_stages >= 0:
            for module in (self.stem, *self.stages[: self.frozen_stages]):
                module.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> 'StagedBackbone':
        """Set the training mode, but keep frozen stages, and norms under norm_eval, in eval."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self
