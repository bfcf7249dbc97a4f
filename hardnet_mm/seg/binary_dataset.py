"""Data sets with one foreground class."""

import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine import fileio
from mmseg.datasets import BaseSegDataset

from ..registry import DATASETS
from ..utils.errors import InputError

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff')


@DATASETS.register_module()
class BinaryMaskDataset(BaseSegDataset):
    """Images and masks with one foreground class, in two folders.

    An image and its mask have the same name, each with any of :data:`SUFFIXES`. ``ann_file`` lists
    the images to use, one name per line, with or without suffix. Without it, all are used.
    :class:`~hardnet_mm.seg.binary_transforms.LoadBinaryMask` reads the masks.

    Args:
        data_prefix (dict): Folder of the images, ``img_path``, and of the masks, ``seg_map_path``.
            Leave the latter out for images without masks. Defaults to
            ``dict(img_path='images', seg_map_path='masks')``.
        **kwargs: The other arguments of ``BaseSegDataset``; ``metainfo=dict(classes=...)`` names
            the background and the foreground.

    Raises:
        InputError: If there is no image, an image has no mask, two images have the same name, or
            ``classes`` does not have two names.
    """

    METAINFO = dict(classes=('background', 'foreground'), palette=[[0, 0, 0], [0, 255, 0]])

    def __init__(
        self,
        data_prefix: dict = dict(img_path='images', seg_map_path='masks'),
        **kwargs: Any,
    ) -> None:
        super().__init__(data_prefix=data_prefix, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> None:
        """Rename the two classes; labels do not change."""
        if len(new_classes or ()) != 2:
            raise InputError(
                f'{cls.__name__} has two classes, the background and the foreground, got '
                f'{new_classes}'
            )

    def load_data_list(self) -> list[dict]:
        """List the images, sorted by name or in the order of ``ann_file``, with their masks."""
        images = image_files(self.data_prefix['img_path'], self.backend_args)
        mask_folder = self.data_prefix.get('seg_map_path')
        masks = image_files(mask_folder, self.backend_args) if mask_folder else None
        names = self._listed() if self.ann_file else sorted(images)
        for kind, files in (('image', images), ('mask', masks)):
            missing = [name for name in names if files is not None and name not in files]
            if missing:
                folder = self.data_prefix['img_path' if kind == 'image' else 'seg_map_path']
                raise InputError(
                    f'{folder} has no {kind} of {len(missing)} names, {", ".join(missing[:3])}...: '
                    f'an image and its mask have the same name, and one of {", ".join(SUFFIXES)}'
                )
        if not names:
            where = self.ann_file or self.data_prefix['img_path']
            raise InputError(f'there is no image in {where}: {", ".join(SUFFIXES)} are images')
        common = dict(label_map=None, reduce_zero_label=self.reduce_zero_label)
        return [
            dict(
                img_path=images[name],
                **({} if masks is None else dict(seg_map_path=masks[name])),
                **common,
                seg_fields=[],
            )
            for name in names
        ]

    def _listed(self):
        lines = fileio.get_text(self.ann_file, backend_args=self.backend_args).splitlines()
        return [_stem(line.strip()) for line in lines if line.strip()]


def image_files(folder: str, backend_args: dict | None = None) -> dict[str, str]:
    """Return the paths of a folder's images by their names, without the suffix.

    Args:
        folder (str): The folder. Its subfolders are searched, too, and are part of the names.
        backend_args (dict, optional): Arguments of mmengine's file backend. Defaults to None.

    Raises:
        InputError: If there is no such folder, or two images have the same name.
    """
    if not fileio.isdir(folder, backend_args=backend_args):
        raise InputError(f'there is no folder {folder}')
    files: dict[str, str] = {}
    for file in fileio.list_dir_or_file(
        folder, list_dir=False, recursive=True, backend_args=backend_args
    ):
        if not file.lower().endswith(SUFFIXES):
            continue
        if _stem(file) in files:
            raise InputError(f'{folder} has two images with the name {_stem(file)}')
        files[_stem(file)] = osp.join(folder, file)
    return files


def _stem(name):
    """Return a name without an image's suffix."""
    stem, suffix = osp.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


@DATASETS.register_module()
class PolypDataset(BinaryMaskDataset):
    """A set of colonoscopy images, in the layout of ``tools/dataset_converters/polyp.py``."""

    METAINFO = dict(classes=('background', 'polyp'), palette=[[0, 0, 0], [0, 255, 0]])
