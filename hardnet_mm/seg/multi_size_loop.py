"""Training on each batch at several sizes, or at a random one."""

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
    """A data loader's batches, each given several times, at several sizes.

    Images and soft masks are resized bilinearly, corner pixels on corner positions. It is a data
    loader to whoever asks: an iteration is a batch at one size.

    Args:
        dataloader (DataLoader): The data loader, of segmentation: its batches have ``inputs``, a
            list of ``(C, H, W)``, and ``data_samples``.
        sizes (Sequence[int | tuple[int, int]]): Sides, or heights and widths, in their order.
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
    """A data loader's batches, each at a random one of several square sizes.

    Of whole pixels from ``low`` to below ``high`` one is drawn, each as likely as the others, and
    rounded down to a multiple of ``divisor``. Images and soft masks are resized bilinearly, corners
    on corners.

    Args:
        dataloader (DataLoader): As of :class:`MultiSizeBatches`.
        low (int): The least side that is drawn.
        high (int): The first that is not.
        divisor (int): What sides are multiples of.
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
    """Return a batch of segmentation at another size; the batch itself is left as it is.

    Images are resized where the model is, masks where they are.

    Args:
        batch (dict): ``inputs``, a list of ``(C, H, W)``, and ``data_samples`` with ``gt_sem_seg``.
        size (tuple[int, int]): Height and width.
        align_corners (bool): Whether corner pixels lie on corner positions; otherwise corners on
            corners. Defaults to True.

    Raises:
        InputError: If a mask's values are numbers of classes, between which there is nothing.
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
    """Train on each batch at several sizes, a step of the optimizer each, as HarDNet-MSEG does.

    An iteration is a step: an epoch has as many for each batch as there are sizes. The model's
    ``data_preprocessor`` must leave sizes as they are, by a ``size_divisor`` that divides all of
    them.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The data loader, or its config.
        sizes (Sequence[int | tuple[int, int]]): Sides, or heights and widths, in their order.
        **kwargs: The other arguments of ``EpochBasedTrainLoop``.

    Raises:
        InputError: If there is no size, or the preprocessor would pad one.
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

    A side is drawn from ``side`` times ``ratio_range``, its end left out, and rounded down to a
    multiple of ``divisor``. The model's ``data_preprocessor`` must leave sizes as they are.

    Args:
        runner (Runner): The runner.
        dataloader (DataLoader | dict): The data loader, or its config.
        side (int): Height and width that sizes are parts of.
        ratio_range (tuple[float, float]): Least and greatest part. Defaults to (0.75, 1.25).
        divisor (int): What sides are multiples of. Defaults to 64.
        **kwargs: The other arguments of ``EpochBasedTrainLoop``.

    Raises:
        InputError: If a side would be 0, none is in the range, or the preprocessor would pad one.
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
