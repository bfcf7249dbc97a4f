"""The few parts of mmcv and mmengine that HarDNet needs, for when those are not installed.

Parameters have the same names, and are drawn from the same distributions in the same order, so
that checkpoints and seeds mean the same with and without them.
"""

import sys

from torch import nn

from .registry import MODELS

# The names that mmcv gives to norms, and those of their modules.
NORMS = dict(BN=nn.BatchNorm2d, SyncBN=nn.SyncBatchNorm, GN=nn.GroupNorm)
NORM_NAMES = dict(BN='bn', SyncBN='bn', GN='gn')
ACTIVATIONS = ('ReLU', 'ReLU6', 'LeakyReLU', 'ELU', 'SiLU')  # of PyTorch, all with ``inplace``
TOOLBOX = 'install hardnet_mm[onedl] or hardnet_mm[openmmlab] for others'


class BaseModule(nn.Module):
    """A module that knows how its weights are initialized.

    Args:
        init_cfg (dict, optional): ``dict(type='Kaiming', layer='Conv2d')``, the only type that is
            supported without mmengine. Defaults to None.
    """

    def __init__(self, init_cfg=None):
        super().__init__()
        self.init_cfg = init_cfg

    def init_weights(self):
        """Initialize the weights, if the module knows how."""
        if self.init_cfg:
            initialize(self, self.init_cfg)


class ConvModule(nn.Module):
    """Convolution - norm - activation, as mmcv's of that name.

    Args:
        in_channels (int): Channels of the input.
        out_channels (int): Channels of the output.
        kernel_size (int): Side of the kernel.
        stride (int): Stride. Defaults to 1.
        padding (int): Zeros around the map. Defaults to 0.
        dilation (int): Dilation. Defaults to 1.
        groups (int): Groups of the channels. Defaults to 1.
        conv_cfg (dict, optional): Config whose ``type`` is a class of convolutions. Defaults to
            None: ``nn.Conv2d``.
        norm_cfg (dict, optional): Config of the norm, a type of :data:`NORMS`. Defaults to None.
        act_cfg (dict, optional): Config of the activation, a type of :data:`ACTIVATIONS` or
            'InPlaceReLU6'. Defaults to ``dict(type='ReLU')``.

    Raises:
        ValueError: If a type of norm or activation is not supported.
    """

    order = ('conv', 'norm', 'act')
    with_spectral_norm = with_explicit_padding = False

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        conv_cfg=None,
        norm_cfg=None,
        act_cfg=dict(type='ReLU'),
    ):
        super().__init__()
        self.with_norm, self.with_activation = norm_cfg is not None, act_cfg is not None
        make_conv = conv_cfg['type'] if conv_cfg else nn.Conv2d
        options = dict(dilation=dilation, groups=groups, bias=not self.with_norm)
        self.conv = make_conv(in_channels, out_channels, kernel_size, stride, padding, **options)
        self.norm_name = None
        if self.with_norm:
            self.norm_name, norm = make_norm(norm_cfg, out_channels)
            self.add_module(self.norm_name, norm)
        if self.with_activation:
            self.activate = make_activation(act_cfg)
        initialize_conv(self.conv)

    @property
    def norm(self):
        """The norm, None if there is none."""
        return self._modules.get(self.norm_name)

    def forward(self, x):
        """Map ``(N, in_channels, H, W)`` to ``(N, out_channels, H', W')``."""
        x = self.conv(x)
        if self.with_norm:
            x = self.norm(x)
        return self.activate(x) if self.with_activation else x


def make_norm(norm_cfg, channels):
    """Return the name of a norm within its module, and the norm."""
    options = dict(norm_cfg)
    kind, requires_grad = options.pop('type', None), options.pop('requires_grad', True)
    if kind not in NORMS:
        raise ValueError(f'without mmcv, a norm is one of {list(NORMS)}, got {kind!r}: {TOOLBOX}')
    size = dict(num_channels=channels) if kind == 'GN' else dict(num_features=channels)
    norm = NORMS[kind](**size, **options)
    return NORM_NAMES[kind], norm.requires_grad_(requires_grad)


def make_activation(act_cfg):
    """Return an activation, in place unless its config says otherwise."""
    options = {'inplace': True, **act_cfg}
    kind = options.pop('type')
    if kind not in (*MODELS, *ACTIVATIONS):
        known = ['InPlaceReLU6', *ACTIVATIONS]
        raise ValueError(f'without mmcv, an activation is one of {known}, got {kind!r}: {TOOLBOX}')
    return MODELS.get(kind, getattr(nn, kind, None))(**options)


def initialize(module, init_cfg):
    """Initialize a module's convolutions, as mmengine does by ``dict(type='Kaiming')``.

    Raises:
        ValueError: If the config is of another kind.
    """
    if init_cfg != dict(type='Kaiming', layer='Conv2d'):
        raise ValueError(
            "without mmengine, init_cfg is dict(type='Kaiming', layer='Conv2d'), got "
            f'{init_cfg!r}: {TOOLBOX}; create_model(pretrained=...) loads weights'
        )
    for part in module.modules():
        if isinstance(part, nn.Conv2d):
            initialize_conv(part)


def initialize_conv(conv):
    """Draw a convolution's weights from He's normal distribution, with fan-out."""
    nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def print_log(message, logger=None):
    """Print a line to stderr, where mmengine would log it."""
    print(message, file=sys.stderr)


class HistoryBuffer:
    """Replaces mmengine's class of the logs in checkpoints, so that these can be loaded."""

    mean = max = min = current = None
    _statistics_methods: dict = {}


class ConfigDict(dict):
    """Replaces mmengine's class, which a checkpoint's meta information may contain."""


HistoryBuffer.__module__ = 'mmengine.logging.history_buffer'  # as checkpoints name them
ConfigDict.__module__ = 'mmengine.config.config'
