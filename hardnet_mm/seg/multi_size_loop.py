"""Training on each batch at several sizes, or at a random size."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from mmengine.device import get_device
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmengine.structures import PixelData
from mmengine.utils import to_2tuple
from torch import Tensor
from torch.nn import functional

from ..registry import LOOPS
from ..utils.errors import InputError


class MultiSizeBatches:
    """A data loader that returns each batch of another one several times, at several sizes.

    Images and soft masks are resized bilinearly with ``align_corners=True``. An iteration is a
    batch at one size.

    Args:
        dataloader (DataLoader): A data loader for segmentation. Its batches have ``inputs``, a list
            of ``(C, H, W)``, and ``data_samples``.
        sizes (Sequence[int | tuple[int, int]]): Side, or height and width, of each size in order.
    """

    def __init__(self, dataloader: Any, sizes: Sequence[int | tuple[int, int]]) -> None:
        self.dataloader = dataloader
        self.sizes = [to_2tuple(size) for size in sizes]

    def __len__(self) -> int:
        return len(self.dataloader) * len(self.sizes)

    def __iter__(self) -> Iterator[dict]:
        for batch in self.dataloader:
            for size in self.sizes:
                yield at_size(batch, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.dataloader, name)


class RandomSizeBatches(MultiSizeBatches):
    """A data loader that returns each batch of another one at a random square size.

    The side is drawn uniformly from the integers from ``low`` to ``high - 1``, and rounded down to
    a multiple of ``divisor``. Images and soft masks are resized bilinearly with
    ``align_corners=False``.

    Args:
        dataloader (DataLoader): As in :class:`MultiSizeBatches`.
        low (int): Minimum side before rounding.
        high (int): Exclusive upper limit of the side.
        divisor (int): Divisor of all sides.
    """

    def __init__(self, dataloader: Any, low: int, high: int, divisor: int) -> None:
        self.low, self.high, self.divisor = low, high, divisor
        sides = sorted({side // divisor * divisor for side in range(low, high)})
        super().__init__(dataloader, sides)

    def __len__(self) -> int:
        return len(self.dataloader)

    def __iter__(self) -> Iterator[dict]:
        for batch in self.dataloader:
            side = np.random.randint(self.low, self.high) // self.divisor * self.divisor
            yield at_size(batch, (side, side), align_corners=False)


def at_size(batch: dict, size: tuple[int, int], align_corners: bool = True) -> dict:
    """Return a resized copy of a batch for segmentation. The batch itself does not change.

    Images are resized on the model's device, and masks on the device where they are.

    Args:
        batch (dict): ``inputs``, a list of ``(C, H, W)``, and ``data_samples`` with ``gt_sem_seg``.
        size (tuple[int, int]): Height and width.
        align_corners (bool): As in PyTorch's ``interpolate``. Defaults to True.

    Raises:
        InputError: If a mask has class indices, which cannot be interpolated.
    """
    device = get_device()
    images = [
        _resized(image.to(device, non_blocking=True), size, align_corners)
        for image in batch['inputs']
    ]
    samples = []
    for sample in batch['data_samples']:
        mask = sample.gt_sem_seg.data
        if not mask.is_floating_point():
            raise InputError(
                f'{sample.get("seg_map_path")}: a batch at several sizes needs soft masks, and '
                'this one has numbers of classes; LoadBinaryMask(soft=True) and PackSoftMask make '
                'them'
            )
        sample = sample.clone()
        sample.gt_sem_seg = PixelData(data=_resized(mask, size, align_corners))
        sample.set_metainfo(dict(img_shape=size))
        samples.append(sample)
    return {**batch, 'inputs': images, 'data_samples': samples}


def _resized(image: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    interpolate = functional.interpolate
    return interpolate(image[None].float(), size, mode='bilinear', align_corners=align_corners)[0]


@LOOPS.register_module()
class MultiSizeTrainLoop(EpochBasedTrainLoop):
    """Train on each batch at several sizes, with one optimizer step each, as HarDNet-MSEG does.

    An iteration is one step, so each batch has as many iterations as there are sizes. The model's
    ``data_preprocessor`` must not change the sizes: its ``size_divisor`` must divide all of them.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The data loader, or its config.
        sizes (Sequence[int | tuple[int, int]]): Side, or height and width, of each size in order.
        **kwargs: The other arguments of ``EpochBasedTrainLoop``.

    Raises:
        InputError: If there is no size, or the preprocessor would pad a size.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        sizes: Sequence[int | tuple[int, int]],
        **kwargs: Any,
    ) -> None:
        if not sizes:
            raise InputError('sizes must name at least one size')
        batches = MultiSizeBatches(_built(runner, dataloader), sizes)
        _check_preprocessor(runner.model, batches.sizes)
        super().__init__(runner, batches, **kwargs)


@LOOPS.register_module()
class RandomSizeTrainLoop(EpochBasedTrainLoop):
    """Train on each batch at a random size, as HarDNet-DFUS does.

    A side is drawn from ``side`` times ``ratio_range``, without the upper limit, and rounded down
    to a multiple of ``divisor``. The model's ``data_preprocessor`` must not change the sizes.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The data loader, or its config.
        side (int): Base height and width.
        ratio_range (tuple[float, float]): Range of the factor. Defaults to (0.75, 1.25).
        divisor (int): Divisor of all sides. Defaults to 64.
        **kwargs: The other arguments of ``EpochBasedTrainLoop``.

    Raises:
        InputError: If a side would be 0, the range is empty, or the preprocessor would pad a size.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: Any,
        side: int,
        ratio_range: tuple[float, float] = (0.75, 1.25),
        divisor: int = 64,
        **kwargs: Any,
    ) -> None:
        low, high = (int(side * ratio) for ratio in ratio_range)
        if not divisor <= low < high:
            raise InputError(
                f'sides of {low} to below {high} pixels, by side={side} and ratio_range='
                f'{ratio_range}: there must be some, and none below divisor={divisor}'
            )
        batches = RandomSizeBatches(_built(runner, dataloader), low, high, divisor)
        _check_preprocessor(runner.model, batches.sizes)
        super().__init__(runner, batches, **kwargs)


def _built(runner, dataloader):
    if not isinstance(dataloader, dict):
        return dataloader
    return runner.build_dataloader(
        dataloader,
        seed=runner.seed,
        diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False),
    )


def _check_preprocessor(model, sizes):
    preprocessor = getattr(model, 'module', model).data_preprocessor
    size, divisor = (getattr(preprocessor, name, None) for name in ('size', 'size_divisor'))
    if size is not None or any(side % (divisor or 1) for pair in sizes for side in pair):
        raise InputError(
            f'the data_preprocessor has size={size} and size_divisor={divisor}, and would pad some '
            f'of the sizes {sizes}: it needs size=None, and a size_divisor that divides all sides'
        )
