"""The check of the published figures, on stand-in weights and a few images in real layouts."""

import argparse
import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import verify_published
from helpers.stand_in import fill_state_dict
from mmdet.datasets import CocoDataset
from mmengine.registry import DefaultScope
from PIL import Image

from hardnet_mm.checkpoints.published import WEIGHTS
from hardnet_mm.utils.errors import InputError

GOLDEN = dict(
    hardnet39ds='hardnet39ds_cls',
    ssd512_hardnet68_coco='ssd512_hardnet68',
    fchardnet70_cityscapes='fchardnet70',
)


@pytest.fixture
def published(golden, server, cache, monkeypatch):
    """A host with stand-ins for a published file of each task, and with no other."""
    for name, model in GOLDEN.items():
        buffer = io.BytesIO()
        torch.save(fill_state_dict(golden(model)['state_dict']), buffer)
        file = WEIGHTS[name].file
        if name == 'hardnet39ds':  # the hash in its name
            file = f'{name}-{hashlib.sha256(buffer.getvalue()).hexdigest()[:8]}.pth'
        server.files[file] = buffer.getvalue()
        record = replace(WEIGHTS[name], addresses=(server.address + file,))
        monkeypatch.setitem(WEIGHTS, name, record)
    gone = replace(WEIGHTS['hardnet85'], addresses=(f'{server.address}gone.pth',))
    monkeypatch.setitem(WEIGHTS, 'hardnet85', gone)
    return server


def picture(path, height, width):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Miniatures of COCO, ImageNet and Cityscapes where the configs look for them."""
    folder = tmp_path / 'data'
    picture(folder / 'coco/val2017/000000000139.jpg', 48, 64)
    names = CocoDataset.METAINFO['classes']
    ids = [*range(1, 12), *range(13, 26), 27, 28, *range(31, 45), *range(46, 66), 67, 70]
    ids += [*range(72, 83), *range(84, 91)]
    box = dict(id=1, image_id=139, category_id=90, bbox=[4, 4, 20, 30], area=600, iscrowd=0)
    annotations = dict(
        images=[dict(id=139, file_name='000000000139.jpg', height=48, width=64)],
        annotations=[box],
        categories=[dict(id=key, name=name) for key, name in zip(ids, names, strict=True)],
    )
    (folder / 'coco/annotations').mkdir()
    (folder / 'coco/annotations/instances_val2017.json').write_text(json.dumps(annotations))

    picture(folder / 'imagenet/val/ILSVRC2012_val_00000001.JPEG', 60, 50)
    (folder / 'imagenet/meta').mkdir()
    (folder / 'imagenet/meta/val.txt').write_text('ILSVRC2012_val_00000001.JPEG 65\n')

    scene = 'frankfurt/frankfurt_000000_000294'
    picture(folder / f'cityscapes/leftImg8bit/val/{scene}_leftImg8bit.png', 32, 64)
    labels = folder / f'cityscapes/gtFine/val/{scene}_gtFine_labelTrainIds.png'
    labels.parent.mkdir(parents=True)
    Image.fromarray(np.arange(32 * 64, dtype=np.uint8).reshape(32, 64) % 19).save(labels)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def verify(capsys, tmp_path):
    """Return a function that checks names and returns what was printed, line by line."""

    def verify(*names, status=0, options=None):
        args = argparse.Namespace(
            names=list(names), work_dir=str(tmp_path / 'work'), cfg_options=options
        )
        capsys.readouterr()
        with DefaultScope.overwrite_default_scope(None):
            if status:
                with pytest.raises(SystemExit) as raised:
                    verify_published.main(args)
                assert raised.value.code == status
            else:
                verify_published.main(args)
        lines = capsys.readouterr().out.splitlines()
        names = ('name ', 'total', *WEIGHTS)
        return [line for line in lines if line.startswith(names)]

    return verify


WORKERS = {'test_dataloader.num_workers': 0, 'test_dataloader.persistent_workers': False}


@pytest.mark.slow
def test_figures_of_each_task(published, data, verify):
    """Stand-in weights predict nothing right; on a few images, that decides nothing."""
    scale = {'test_dataloader.dataset.pipeline.1.scale': (128, 64)}
    for name, options in (
        ('hardnet39ds', {}),
        ('ssd512_hardnet68_coco', {}),
        ('fchardnet70_cityscapes', scale),
    ):
        record = WEIGHTS[name]
        title, *rows, total = verify(name, options={**WORKERS, **options})
        assert title.split() == ['name', 'metric', 'ours', 'published', 'difference', 'allowed']
        assert total == f'total: {len(record.metrics)} undecided'
        for row, (metric, theirs) in zip(rows, record.metrics.items(), strict=True):
            assert row.startswith(name) and metric in row and f' {theirs:.2f} ' in row
            assert row.endswith(
                f'undecided: 1 images of {verify_published.NUM_IMAGES[record.data]}'
            )
            ours = float(row.partition(metric)[2].split()[0])
            assert 0 <= ours < 20 and f'{ours - theirs:+.2f}' in row
    assert len(published.requests) == 3  # one file each


def test_what_is_missing_is_skipped(published, data, verify):
    (data / 'coco').rename(data / 'elsewhere')
    changed = WEIGHTS['hardnet39ds'].file
    published.files[changed] = published.files[changed][:-1] + b'x'
    names = ('hardnet39ds', 'hardnet85', 'hardnet://ssd512_hardnet68_coco')
    _, refused, gone, absent, total = verify(*names, status=1, options=WORKERS)
    assert refused.startswith('hardnet39ds') and 'refused: ' in refused and changed in refused
    assert gone.startswith('hardnet85') and 'skipped: ' in gone and 'gone.pth' in gone
    assert absent.startswith('ssd512_hardnet68_coco') and 'data/coco/' in absent
    assert total == 'total: 1 refused, 2 skipped'
    assert published.requests == [changed, 'gone.pth']  # nothing for data that is not there


def test_names_without_figures():
    for name, words in (
        ('hardnet70', 'no published weights'),
        ('hardnet85_base', 'no published fi'),
    ):
        with pytest.raises(InputError, match=words):
            verify_published.chosen([name])
    everything = verify_published.chosen([])
    assert {'hardnet39ds', 'fchardnet70_cityscapes_2', 'centernet_hardnet85_coco'} <= set(
        everything
    )
    for record in everything.values():
        assert set(record.metrics) <= set(verify_published.ALLOWED)
        assert record.data in verify_published.NUM_IMAGES


@pytest.mark.parametrize(
    'name, found, verdict',
    [
        ('fchardnet70_cityscapes', {'mIoU': 77.45}, 'agrees'),
        ('fchardnet70_cityscapes', {'mIoU': 77.3}, 'differs'),
        ('ssd512_hardnet68_coco', {'coco/bbox_mAP': 0.309}, 'agrees (theirs is of test-dev)'),
        ('ssd512_hardnet68_coco', {'coco/bbox_mAP': 0.33}, 'differs (theirs is of test-dev)'),
    ],
)
def test_verdicts_on_all_images(name, found, verdict, monkeypatch, verify):
    record = WEIGHTS[name]
    num_images = verify_published.NUM_IMAGES[record.data]
    monkeypatch.setattr(verify_published, 'evaluate', lambda *_: (found, num_images))
    _, row, total = verify(name, status='differs' in verdict)
    assert row.endswith(f' {verdict}')
    assert total == f'total: 1 {verdict.split()[0]}'
