"""Builds the stem and the stages of HarDNet from their plans."""

from torch import nn
from torch.nn import functional

from ..foundation import ConvModule
from .hardnet_block import HarDBlock, depthwise_conv

POOLS = dict(max=nn.MaxPool2d, avg=nn.AvgPool2d)


class Stage(nn.Sequential):
    """A sequence of layers. Besides the last layer, others can also be outputs of the backbone.

    Attributes:
        outputs (dict[str, str]): Names of the outputs, as in ``out_indices``, by layer name.
    """

    def forward(self, x, store=None):
        """Map ``(N, C_in, H, W)`` to the last layer's output; call ``store(name, output)``.

        ``store`` is a function and not a dict, because wrappers such as FSDP's copy dicts.
        """
        for name, layer in self.named_children():
            x = layer(x)
            if store is not None and name in self.outputs:
                store(self.outputs[name], x)
        return x


class SamePaddedConv2d(nn.Conv2d):
    """Conv3x3 of stride 2 with TensorFlow's 'same' padding.

    An even side is padded at its end alone, an odd side at both ends. mmcv's
    ``Conv2dAdaptivePadding`` does the same, but a tracer cannot follow its branches.
    """

    def forward(self, x):
        """Map ``(N, C, H, W)`` to ``(N, out_channels, H / 2, W / 2)``, sizes rounded up."""
        return super().forward(functional.pad(x, (x.shape[3] % 2, 1, x.shape[2] % 2, 1)))


def make_stem(arch, in_channels, conv_cfg):
    """Return the stem: Conv3x3s. In depthwise variants, all but the first are Conv1x1s."""
    stem = Stage()
    stem.outputs = {}
    for i, (width, stride) in enumerate(zip(arch['stem_channels'], arch['stem_strides'])):
        kernel = 1 if arch['depthwise'] and i > 0 else 3
        padding = dict(padding=kernel // 2)
        if stride == 2 and arch['stem_padding'] == 'same':
            padding = dict(conv_cfg=dict(type=SamePaddedConv2d))
        stem.append(ConvModule(in_channels, width, kernel, stride, **padding, **conv_cfg))
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
    """Return the downsampling layer of a stage: a depthwise convolution, or a pool."""
    if plan.downsample == 'conv':
        return depthwise_conv(channels, conv_cfg['norm_cfg'], stride=plan.stride)
    if plan.downsample == 'pool3x3':
        return POOLS[pool](3, stride=2, padding=1)
    return POOLS[pool](2, stride=2, ceil_mode=plan.ceil_mode)
