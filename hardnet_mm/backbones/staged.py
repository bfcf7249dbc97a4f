"""The common base of HarDNet and HarDNetV2: a stem, then stages, and named outputs."""

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from ..foundation import BaseModule
from ..utils.errors import InputError

MIN_INPUT_SIZE = 32


class StagedBackbone(BaseModule):
    """A backbone of a stem and stages: forward pass, frozen stages, and shapes of the outputs.

    A subclass sets ``out_indices``, ``frozen_stages`` and ``norm_eval``. It builds ``stem`` and
    ``stages`` as :class:`~hardnet_mm.backbones.stages.Stage`.

    Args:
        init_cfg (dict | list[dict], optional): Initialization config. Defaults to None:
            He-normal convolutions.
    """

    def __init__(self, init_cfg: dict | list | None = None):
        super().__init__(init_cfg or dict(type='Kaiming', layer='Conv2d'))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the outputs of an image batch.

        Args:
            x (Tensor): ``(N, in_channels, H, W)``, with H and W of at least 32 and of at least the
                stride of the deepest output.

        Returns:
            tuple[Tensor]: ``(N, channels[i], H / out_strides[i], W / out_strides[i])`` in the order
            of ``out_indices``. Sizes are rounded as the pools round them.

        Raises:
            InputError: If H or W is smaller than that.
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

        The stem has depth 0, and stage i depth i + 1. Parameters outside the backbone have the last
        depth. mmpretrain's ``LearningRateDecayOptimWrapperConstructor`` calls this.
        """
        num_depths = len(self.stages) + 2
        if not param_name.startswith(prefix):
            return num_depths - 1, num_depths
        part, index, *_ = param_name.removeprefix(prefix).split('.')
        return (int(index) + 1 if part == 'stages' else 0), num_depths

    def _set_output_shapes(self, arch, strides):
        """Set the channels and strides of the outputs, from those of the stem and the stages."""
        stride = 1
        shapes: dict[str | int, tuple[int, int]] = {}  # of every possible output
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
