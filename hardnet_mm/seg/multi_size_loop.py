"""Training on each batch at several sizes."""

from collections.abc import Iterator, Sequence
from typing import Any

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


def at_size(batch: dict, size: tuple[int, int]) -> dict:
    """Return a batch of segmentation at another size; the batch itself is left as it is.

    Images are resized where the model is, masks where they are.

    Args:
        batch (dict): ``inputs``, a list of ``(C, H, W)``, and ``data_samples`` with ``gt_sem_seg``.
        size (tuple[int, int]): Height and width.

    Raises:
        InputError: If a mask's values are numbers of classes, between which there is nothing.
    """
    device = get_device()
    images = [_resized(image.to(device, non_blocking=True), size) for image in batch['inputs']]
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
        sample.gt_sem_seg = PixelData(data=_resized(mask, size))
        sample.set_metainfo(dict(img_shape=size))
        samples.append(sample)
    return {**batch, 'inputs': images, 'data_samples': samples}


def _resized(image: Tensor, size: tuple[int, int]) -> Tensor:
    resized = functional.interpolate(image[None].float(), size, mode='bilinear', align_corners=True)
    return resized[0]


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
        _check_preprocessor(runner.model, [to_2tuple(size) for size in sizes])
        if isinstance(dataloader, dict):
            dataloader = runner.build_dataloader(
                dataloader,
                seed=runner.seed,
                diff_rank_seed=runner._randomness_cfg.get('diff_rank_seed', False),
            )
        super().__init__(runner, MultiSizeBatches(dataloader, sizes), **kwargs)


def _check_preprocessor(model, sizes):
    preprocessor = getattr(model, 'module', model).data_preprocessor
    size, divisor = (getattr(preprocessor, name, None) for name in ('size', 'size_divisor'))
    if size is not None or any(side % (divisor or 1) for pair in sizes for side in pair):
        raise InputError(
            f'the data_preprocessor has size={size} and size_divisor={divisor}, and would pad some '
            f'of the sizes {sizes}: it needs size=None, and a size_divisor that divides all sides'
        )
