"""A stage of HarDNet, built as it was planned."""

from mmcv.cnn import ConvModule
from torch import nn

from .hardnet_block import HarDBlock, depthwise_conv

POOLS = dict(max=nn.MaxPool2d, avg=nn.AvgPool2d)


class Stage(nn.Sequential):
    """Layers one after another, of which some give an output besides the last.

    Attributes:
        outputs (dict[str, str]): The outputs' names in ``out_indices``, by the layers' names.
    """

    def forward(self, x, store=None):
        """Map ``(N, C_in, H, W)`` to the last layer's output; call ``store(name, output)``.

        ``store`` is a function, since wrappers such as FSDP's copy the dicts that they pass on.
        """
        for name, layer in self.named_children():
            x = layer(x)
            if store is not None and name in self.outputs:
                store(self.outputs[name], x)
        return x


def make_stem(arch, in_channels, conv_cfg):
    """Return the stem: Conv3x3s, but with depthwise variants Conv1x1s after the first."""
    stem = Stage()
    stem.outputs = {}
    for i, (width, stride) in enumerate(zip(arch['stem_channels'], arch['stem_strides'])):
        kernel = 1 if arch['depthwise'] and i > 0 else 3
        stem.append(ConvModule(in_channels, width, kernel, stride, padding=kernel // 2, **conv_cfg))
        stem.outputs[str(i)] = f'stem{i}'
        in_channels = width
    return stem


def make_stage(index, in_channels, plan, arch, pool, conv_cfg):
    """Return the stage that a :class:`~hardnet_mm.backbones.architectures.StagePlan` describes."""
    stage = Stage()
    if plan.downsample is not None:
        stage.add_module('downsample', make_downsample(in_channels, plan, pool, conv_cfg))
    for i, planned in enumerate(plan.blocks):
        block = HarDBlock(
            in_channels,
            planned.growth_rate,
            arch['growth_multiplier'],
            planned.num_layers,
            arch['depthwise'],
            plan.dilation,
            **conv_cfg,
        )
        stage.add_module(f'block{i}', block)
        stage.block_channels = in_channels = block.out_channels
        stage.outputs = {f'block{i}': f'block{index}'}
        if planned.transition_channels is not None:
            if planned.dropout:
                stage.add_module('dropout', nn.Dropout(planned.dropout))
            transition = ConvModule(in_channels, planned.transition_channels, 1, **conv_cfg)
            stage.add_module(f'transition{i}', transition)
            in_channels = planned.transition_channels
    stage.out_channels = in_channels
    return stage


def make_downsample(channels, plan, pool, conv_cfg):
    """Return what begins a stage: a depthwise convolution, or a pool."""
    if plan.downsample == 'conv':
        return depthwise_conv(channels, conv_cfg['norm_cfg'], stride=plan.stride)
    if plan.downsample == 'pool3x3':
        return POOLS[pool](3, stride=2, padding=1)
    return POOLS[pool](2, stride=2, ceil_mode=plan.ceil_mode)
