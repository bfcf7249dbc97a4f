"""Group normalization on HarDNet's widths, few of which are multiples of 32."""

import math
from collections.abc import Callable

import torch
from torch import nn

MOST_GROUPS = 32  # what the toolboxes' configs ask for


def check_groups(build: Callable[[], nn.Module], norm_cfg: dict) -> None:
    """Refuse a group normalization whose number of groups does not divide every norm's channels.

    Args:
        build (Callable): Builds the network with BatchNorms, whose widths are read.
        norm_cfg (dict): Config of the norm layers. Other types than GN are not checked.

    Raises:
        ValueError: If the number does not divide them. The message names the largest that does.
    """
    if norm_cfg.get('type') != 'GN':
        return
    with torch.device('meta'):  # nothing is stored
        modules = build().modules()
    widths = {module.num_features for module in modules if isinstance(module, nn.BatchNorm2d)}
    common, groups = math.gcd(*widths), norm_cfg.get('num_groups')
    if not isinstance(groups, int) or groups < 1 or common % groups:
        largest = max(n for n in range(1, MOST_GROUPS + 1) if common % n == 0)
        raise ValueError(
            f'GN with {groups} groups does not divide the channels of every norm of this HarDNet, '
            f'{sorted(widths)}: the largest number up to {MOST_GROUPS} that does is {largest}, as '
            f"norm_cfg=dict(type='GN', num_groups={largest}, requires_grad=True); BN and SyncBN "
            'need none'
        )
