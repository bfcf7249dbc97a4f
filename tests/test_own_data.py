"""The blocks of docs/own_data.md, run as they stand there, on data in the folders that it tells."""

import json
import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from hardnet_mm.utils.configs import build_model, read_config

BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
# One process trains, by tools/train.py, and then infers: mm is imported only once.
PROGRAM = """
import runpy, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))  # as for any script
train, documented, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = train
runpy.run_path(train, run_name='__main__')
exec(Path(documented).read_text())
print('found', {})
"""


def section(root, title):
    """The config, the arguments of train.py and the inference that a section documents."""
    text = (root / 'docs/own_data.md').read_text().split(f'\n## {title}\n')[1].split('\n## ')[0]
    blocks = BLOCK.findall(text)
    config, inference = (code for language, code in blocks if language == 'python')
    (command,) = re.findall(r'^python tools/train.py (.*)$', text, re.MULTILINE)
    return config, command.split(), inference


def picture(path, seed, size=(160, 120)):
    """An image of noise with a bright square, from 30, 30 to 90, 90."""
    image = np.random.default_rng(seed).integers(0, 100, (size[1], size[0], 3), np.uint8)
    image[30:90, 30:90] += 150
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def run(root, folder, title, result, *options):
    """Train and infer as a section documents it, but for the options; return what it prints."""
    config, arguments, inference = section(root, title)
    (folder / arguments[0]).write_text(config)
    (folder / 'infer.py').write_text(re.sub(r'(epoch|iter)_\d+', r'\1_1', inference))
    picture(folder / 'picture.jpg', 9)
    workers = [
        f'{loader}_dataloader.{key}'
        for loader in ('train', 'val', 'test')
        for key in ('num_workers=0', 'persistent_workers=False')
    ]
    command = [sys.executable, '-c', PROGRAM.format(result), root / 'tools/train.py', 'infer.py']
    # no download
    command += [*arguments, '--cfg-options', 'load_from=None', *workers, *options]
    environment = dict(os.environ, OMP_NUM_THREADS='1', CUDA_VISIBLE_DEVICES='')
    done = subprocess.run(
        list(map(str, command)),
        **dict(cwd=folder, env=environment, capture_output=True, text=True, timeout=600),
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-5000:]
    return done.stdout + done.stderr


@pytest.mark.slow
def test_detection(root, tmp_path):
    for split in ('train', 'val'):
        picture(tmp_path / f'data/pets/{split}/a.jpg', 0)
        box = dict(image_id=1, bbox=[30, 30, 60, 60], area=3600, iscrowd=0)
        categories = [dict(id=7, name='cat'), dict(id=8, name='dog')]
        content = dict(
            images=[dict(id=1, file_name='a.jpg', width=160, height=120)],
            annotations=[
                dict(id=i, category_id=each['id'], **box) for i, each in enumerate(categories)
            ],
            categories=categories,
        )
        (tmp_path / f'data/pets/{split}.json').write_text(json.dumps(content))
    output = run(
        *(root, tmp_path, 'Detection', "len(found['bboxes']), set(found['labels']) <= {0, 1}"),
        *('train_cfg.max_epochs=1', 'train_cfg.val_interval=1'),
    )
    assert 'coco/bbox_mAP' in output
    assert re.search(r'found \d+ True', output)
    assert (tmp_path / 'detected/vis/picture.jpg').is_file()
    assert (tmp_path / 'detected/preds/picture.json').is_file()


@pytest.mark.slow
def test_segmentation(root, tmp_path):
    for split, count in dict(train=2, val=1).items():
        for i in range(count):
            picture(tmp_path / f'data/roads/images/{split}/{i:04}.jpg', i)
            mask = np.zeros((120, 160), np.uint8)
            mask[30:90, 30:90] = 1
            path = tmp_path / f'data/roads/masks/{split}/{i:04}.png'
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), mask)
    output = run(
        *(root, tmp_path, 'Segmentation', 'classes.shape, set(classes.flat) <= {0, 1}'),
        *('train_cfg.max_iters=1', 'train_cfg.val_interval=1', 'train_dataloader.batch_size=2'),
    )
    assert 'mIoU' in output and '|    road    |' in output
    assert 'found (120, 160) True' in output
    shown, indices = (tmp_path / f'segmented/{name}' for name in ('vis', 'pred'))
    assert [path.suffix for path in shown.iterdir()] == ['.jpg']
    (indices,) = indices.iterdir()
    assert cv2.imread(str(indices), cv2.IMREAD_UNCHANGED).shape == (120, 160)


@pytest.mark.slow
def test_classification(root, tmp_path):
    for split in ('train', 'val'):
        for i, name in enumerate(['rose', 'tulip']):
            picture(tmp_path / f'data/flowers/{split}/{name}/a.jpg', i)
    weights = tmp_path / 'thousand.pth'
    model = build_model(read_config(str(root / 'configs/hardnet68_imagenet.py')))
    torch.save(dict(state_dict=model.state_dict()), weights)
    output = run(
        *(root, tmp_path, 'Classification', "result['pred_class'] in ('rose', 'tulip')"),
        *('train_cfg.max_epochs=1', f'load_from={weights}'),
    )
    assert 'new, since of another shape: head.fc.bias, head.fc.weight' in output
    assert 'accuracy/top1' in output
    assert 'found True' in output
    assert [path.stem for path in (tmp_path / 'classified').iterdir()] == ['picture']
