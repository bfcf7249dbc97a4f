"""A case, and the workshop in which its file is created."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).parents[3]
DETECTOR = ROOT / 'configs/digits/ssd_hardnet_digits.py'
SIDE = 64  # of the images


@dataclass(frozen=True)
class Case:
    """A broken file, and a tool that is given this file.

    Attributes:
        name (str): The fault of the file, and the tool.
        command (callable): Takes a :class:`Workshop`, creates the file, and returns the tool's
            command line.
        status (int): Expected exit status of the tool. 0: the toolboxes' own behaviour; 1:
            something was skipped; 2: an error in one line.
        words (str): A regular expression that the output must contain.
        export_format (str, optional): Export format whose packages are needed. Defaults to None.
    """

    name: str
    command: Callable
    status: int
    words: str
    export_format: str | None = None

    @property
    def missing_packages(self):
        """The needed packages that are not installed."""
        from hardnet_mm.export.formats import FORMATS

        return FORMATS[self.export_format].missing_packages() if self.export_format else []


class Workshop:
    """A folder with a small data set, a config's settings for it, and a good checkpoint.

    Args:
        folder (Path): The folder, as :func:`~.running.prepare` creates it.

    Attributes:
        mark (Path): The file that code in a hostile file would create.
        server (str): Address under which the folder is served.
    """

    def __init__(self, folder, server):
        self.folder, self.server = Path(folder), server
        self.mark = self.folder / 'code_was_run'
        self.good = self.folder / 'good.pth'
        self.resumable = self.folder / 'trained/epoch_1.pth'

    def file(self, name):
        """Return the path of a file to be created."""
        path = self.folder / 'files' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def write_data(self):
        """Write two images of noise and COCO annotations of them."""
        (self.folder / 'images').mkdir(parents=True)
        for number in range(2):
            cv2.imwrite(str(self.folder / f'images/{number}.png'), noise(number))
        self.annotate('good.json')

    def annotate(self, name, change=lambda content: None):
        """Write annotations, changed by a function; return the path."""
        names = [dict(id=i, name=str(i)) for i in range(10)]
        images = [dict(id=i, file_name=f'{i}.png', height=SIDE, width=SIDE) for i in range(2)]
        boxes = [
            dict(id=i + 1, image_id=i, category_id=3, bbox=[8, 8, 24, 32], area=768, iscrowd=0)
            for i in range(2)
        ]
        content = dict(categories=names, images=images, annotations=boxes)
        changed = change(content)
        path = self.folder / name
        path.write_text(changed if isinstance(changed, str) else json.dumps(content))
        return path

    def options(self, annotations='good.json', **settings):
        """Return the settings with which training or testing takes about a second."""
        path = self.folder / annotations
        common = {
            'train_cfg.max_epochs': 1,
            'test_evaluator.ann_file': path,
            'val_cfg': None,
            'val_evaluator': None,
            'val_dataloader': None,
            'default_hooks.checkpoint.save_best': None,
            'train_dataloader.dataset.filter_cfg.min_size': 0,
        }
        for kind in ('train', 'test'):
            data = f'{kind}_dataloader'
            common |= {
                f'{data}.batch_size': 2,
                f'{data}.dataset.data_root': '',
                f'{data}.dataset.ann_file': path,
                f'{data}.dataset.data_prefix.img': f'{self.folder}/images/',
            }
        common |= {key.replace('__', '.'): value for key, value in settings.items()}
        return ['--cfg-options', *(f'{key}={value}' for key, value in common.items())]

    def train(self, *arguments, annotations='good.json', config=DETECTOR, **settings):
        """Return the command line that trains."""
        options = self.options(annotations, **settings)
        return ['train.py', config, '--work-dir', self.new_folder(), *arguments, *options]

    def test(self, checkpoint=None, *arguments, annotations='good.json', **settings):
        """Return the command line that tests a checkpoint, or an exported file."""
        options = self.options(annotations, **settings)
        command = ['test.py', DETECTOR, checkpoint or self.good, '--work-dir', self.new_folder()]
        return [*command, *arguments, *options]

    def segment(self, tool, config, masks):
        """Return the command line that trains a segmentor on masks, or tests it."""
        data = f'{tool}_dataloader'
        options = {
            'val_cfg': None,
            'val_evaluator': None,
            'val_dataloader': None,
            'default_hooks.checkpoint.save_best': None,
            f'{data}.batch_size': 2,
            f'{data}.dataset.data_root': '',
            f'{data}.dataset.data_prefix.img_path': f'{self.folder}/images/',
            f'{data}.dataset.data_prefix.seg_map_path': f'{masks}/',
        }
        if 'mseg' not in config.name:  # whose data set takes every suffix
            options[f'{data}.dataset.img_suffix'] = '.png'
        arguments = [self.good_segmentor(config)] if tool == 'test' else []
        options = [f'{key}={value}' for key, value in options.items()]
        command = [f'{tool}.py', config, *arguments, '--work-dir', self.new_folder()]
        return [*command, '--cfg-options', *options]

    def good_segmentor(self, config):
        """Return a checkpoint of a config, written once."""
        import torch

        from hardnet_mm.utils.configs import build_model, read_config

        path = self.folder / f'{config.stem}.pth'
        if not path.is_file():
            state = build_model(read_config(str(config))).state_dict()
            torch.save(dict(state_dict=state, meta={}), path)
        return path

    def predict(self, image, weights=None, *arguments):
        """Return the command line that predicts on an image."""
        command = ['predict.py', DETECTOR, weights or self.good, image, '--out-dir']
        return [*command, self.new_folder() / 'out', *arguments]

    def new_folder(self):
        """Return a new folder."""
        count = len([*self.folder.glob('work*')])
        path = self.folder / f'work{count}'
        path.mkdir()
        return path


def noise(seed=0, size=(SIDE, SIDE)):
    """Return an image ``(H, W, 3)`` uint8 of noise."""
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
