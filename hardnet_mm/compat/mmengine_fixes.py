"""Changes to mmengine, for recent PyTorch, for the maintained toolboxes, and for safe files."""

import contextlib
import functools
import importlib
import os
import types

import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.dataset import BaseDataset
from mmengine.fileio import LocalBackend
from mmengine.hooks import CheckpointHook
from mmengine.runner import checkpoint
from mmengine.utils import digit_version, is_installed

from ..checkpoints.loaders import read_address_for_mmengine, read_for_mmengine
from ..checkpoints.safe_types import checkpoint_types
from ..utils.errors import InputError

config = importlib.import_module('mmengine.config.config')


def allow_checkpoint_types():
    """Let mmengine 0.10.7 read its own checkpoints on PyTorch 2.6 and newer.

    There, ``torch.load`` refuses types that are not allowed explicitly. This allows the types in
    mmengine's checkpoints. Others are still refused.
    """
    has_own_list = hasattr(checkpoint, 'get_torch_safe_globals')  # mmengine's continuation
    if digit_version(torch.__version__) >= digit_version('2.6') and not has_own_list:
        torch.serialization.add_safe_globals(checkpoint_types())


class _TorchThatReadsWeights(types.ModuleType):
    """A substitute for ``torch`` in mmengine's checkpoint module, with a safe ``load``."""

    load = staticmethod(read_for_mmengine)

    def __getattr__(self, name):
        return getattr(torch, name)


def read_weights_only():
    """Prevent mmengine's loaders from running code in a checkpoint.

    On PyTorch before 2.6, mmengine 0.10.7 unpickles checkpoints without restrictions. Its
    continuation does so if the safe reader refuses a checkpoint.
    """
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = read_for_mmengine
    else:
        checkpoint.torch = _TorchThatReadsWeights('torch')
    checkpoint.load_url = read_address_for_mmengine


def save_whole_checkpoints():
    """Write checkpoints atomically, and remove old ones only after the new one is saved.

    mmengine writes directly to the file's path. It also removes the checkpoints beyond
    ``max_keep_ckpts``, and the best one so far, before it saves the new one. A full disk or a kill
    would then leave an incomplete file, or none.
    """
    if not hasattr(LocalBackend.put, '__wrapped__'):
        LocalBackend.put = _whole(LocalBackend.put)
        hook = CheckpointHook
        hook._save_checkpoint_with_step = _removing_last(hook._save_checkpoint_with_step)
        hook._save_best_checkpoint = _removing_last(hook._save_best_checkpoint)


def _whole(put):
    @functools.wraps(put)
    def put_whole(self, obj, filepath):
        new = f'{filepath}.part'  # what a kill leaves is written over by the next one
        try:
            put(self, obj, new)
            os.replace(new, filepath)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(new)
            raise OSError(error.errno, error.strerror, str(filepath)) from error

    return put_whole


def _removing_last(save):
    @functools.wraps(save)
    def save_and_remove(self, *args, **kwargs):
        backend = self.file_backend
        self.file_backend = later = _RemovesLater(backend)
        try:
            save(self, *args, **kwargs)
        finally:
            self.file_backend = backend
        best = getattr(self, 'best_ckpt_path_dict', {}).values()  # of several metrics
        saved = (self.last_ckpt, getattr(self, 'best_ckpt_path', None), *best)
        for remove, path in later.removals:
            if path not in saved:  # under the name of the old one
                remove(path)

    return save_and_remove


class _RemovesLater:
    """A file backend that collects what is to be removed, instead of removing it."""

    def __init__(self, backend):
        self.backend, self.removals = backend, []

    def __getattr__(self, name):
        return getattr(self.backend, name)

    def remove(self, path):
        self.removals.append((self.backend.remove, path))

    def rmtree(self, path):  # of a folder, as DeepSpeed's checkpoints are
        self.removals.append((self.backend.rmtree, path))


def refuse_empty_data_sets():
    """Raise a clear error for a data set without images, instead of NumPy's on concatenation."""
    if not hasattr(BaseDataset._serialize_data, '__wrapped__'):
        BaseDataset._serialize_data = _not_empty(BaseDataset._serialize_data)


def _not_empty(serialize):
    @functools.wraps(serialize)
    def serialize_some(self):
        if not self.data_list:
            place = self.ann_file or self.data_root
            raise InputError(
                f'there is no image in the {type(self).__name__} of {place}: '
                'its folder or annotations are empty, no class there is one of metainfo, or '
                'filter_cfg leaves all out'
            )
        return serialize(self)

    return serialize_some


def find_bases_by_path():
    """Find ``mmdet::`` in a ``_base_`` by its path, before reading the toolbox's metafiles.

    mmengine reads all metafiles first, about a hundred for each base, although they contain no such
    path. That took most of the time of reading a config.
    """
    if not hasattr(config._get_external_cfg_path, '__wrapped__'):
        config._get_external_cfg_path = _by_path(config._get_external_cfg_path)


def _by_path(get_path):
    @functools.wraps(get_path)
    def get_path_first(package_path, cfg_file):
        path = os.path.join(package_path, '.mim', 'configs', cfg_file)
        return path if os.path.isfile(path) else get_path(package_path, cfg_file)

    return get_path_first


def name_package_of_mmseg():
    """Make ``mmseg::`` in a ``_base_`` work with the toolbox's maintained continuation.

    mmengine looks for a package named mmsegmentation, but the continuation has another name.
    """
    if not is_installed('mmsegmentation') and is_installed('onedl-mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'
