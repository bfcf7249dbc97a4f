"""What mmengine lacks on today's PyTorch and beside the toolboxes' maintained continuation."""

import contextlib
import functools
import importlib
import os
import types

import torch
from mmengine.config.utils import MODULE2PACKAGE
from mmengine.dataset import BaseDataset
from mmengine.dist import is_main_process
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

    ``torch.load`` refuses types there that it was not told of. The types are allowed, the refusal
    of others stays.
    """
    has_own_list = hasattr(checkpoint, 'get_torch_safe_globals')  # mmengine's continuation
    if digit_version(torch.__version__) >= digit_version('2.6') and not has_own_list:
        torch.serialization.add_safe_globals(checkpoint_types())


class _TorchThatReadsWeights(types.ModuleType):
    """``torch`` as mmengine's checkpoint module sees it, where that calls ``torch.load`` itself."""

    load = staticmethod(read_for_mmengine)

    def __getattr__(self, name):
        return getattr(torch, name)


def read_weights_only():
    """Let no loader of mmengine run code that a checkpoint holds.

    mmengine 0.10.7 reads pickles as they come on PyTorch before 2.6. Its continuation does so
    wherever the safe reader refuses one.
    """
    if hasattr(checkpoint, '_safe_torch_load'):
        checkpoint._safe_torch_load = read_for_mmengine
    else:
        checkpoint.torch = _TorchThatReadsWeights('torch')
    checkpoint.load_url = read_address_for_mmengine


def save_whole_checkpoints():
    """Let a checkpoint be whole or not there, and the older one go only once it is.

    mmengine writes into the file's place, and removes what ``max_keep_ckpts`` no longer keeps
    before it saves: a full disk or a kill in that time leaves half a file, or none.
    """
    if not hasattr(LocalBackend.put, '__wrapped__'):
        LocalBackend.put = _whole(LocalBackend.put)
        hook = CheckpointHook
        hook._save_checkpoint_with_step = _removing_last(hook._save_checkpoint_with_step)


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
    def save_and_remove(self, runner, step, meta):
        old, kept = None, getattr(self, 'keep_ckpt_ids', ())  # without a limit, there are none
        if 0 < self.max_keep_ckpts == len(kept) and kept[-1] != step:
            old = self.file_backend.join_path(
                self.out_dir, self.filename_tmpl.format(kept.popleft())
            )
        save(self, runner, step, meta)
        if old is not None and is_main_process():
            if self.file_backend.isfile(old):
                self.file_backend.remove(old)
            elif self.file_backend.isdir(old):  # DeepSpeed's
                self.file_backend.rmtree(old)

    return save_and_remove


def refuse_empty_data_sets():
    """Let a data set without images say so, which ends in NumPy's words on concatenation."""
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
    """Let ``mmdet::`` in a ``_base_`` be found by its path, before any metafile is read.

    mmengine reads a hundred files of the toolbox first, for each base, and never finds a path there:
    most of the time that a config took to read.
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
    """Let ``mmseg::`` in a ``_base_`` be found where the toolbox's continuation is installed.

    mmengine looks for a package named mmsegmentation, which the continuation is not.
    """
    if not is_installed('mmsegmentation') and is_installed('onedl-mmsegmentation'):
        MODULE2PACKAGE['mmseg'] = 'onedl-mmsegmentation'
