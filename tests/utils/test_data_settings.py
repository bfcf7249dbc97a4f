"""Settings that name data: what is missing is told with its key, and what works is not refused."""

import json

import pytest
from mmdet.datasets import CocoDataset, VOCDataset
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import DefaultScope

from hardnet_mm.utils.data_settings import check_data_files

NAMES = ('train_dataloader', 'val_dataloader', 'val_evaluator')


@pytest.fixture
def data(tmp_path):
    """A folder of annotations of one image."""
    content = dict(
        images=[dict(id=1, file_name='1.png', width=64, height=64)],
        annotations=[dict(id=1, image_id=1, category_id=1, bbox=[1, 1, 9, 9], area=81, iscrowd=0)],
        categories=[dict(id=1, name='person')],
    )
    (tmp_path / 'one.json').write_text(json.dumps(content))
    return tmp_path


def check(dataset, evaluator=(), scope='mmdet', names=NAMES):
    loader = dict(train_dataloader=dict(dataset=dataset)) if dataset else {}
    cfg = Config(dict(default_scope=scope, val_evaluator=evaluator, **loader))
    check_data_files(cfg, *names)


def refused(*args, **kwargs):
    """The part of the message that tells what is missing."""
    with pytest.raises(FileNotFoundError) as raised:
        check(*args, **kwargs)
    start, _, places = str(raised.value).partition(': ')
    assert start == 'No such file or directory'
    return places.partition(': correct')[0]


def test_what_is_missing_is_told_with_its_key(data):
    coco = dict(type='CocoDataset', data_root=str(data), data_prefix=dict(img='no'))
    wrong = f'{data}/two.json'
    key = 'train_dataloader.dataset'
    check(dict(coco, ann_file='one.json'))
    assert refused(dict(coco, ann_file='two.json')) == f'{wrong} ({key}.ann_file)'
    # a wrapper in a wrapper, and a type with its scope, as a class, or derived without a change
    kinds = ['mmdet.CocoDataset', CocoDataset, type('Own', (CocoDataset,), {})]
    parts = [dict(coco, ann_file='two.json', type=kind) for kind in kinds]
    both = dict(type='ConcatDataset', datasets=parts)
    repeated = dict(type='RepeatDataset', times=2, dataset=both)
    keys = ', '.join(f'{key}.dataset.datasets.{index}.ann_file' for index in range(3))
    assert refused(repeated) == f'{wrong} ({keys})'
    root = f'{data}/none'
    assert refused(dict(coco, ann_file='one.json', data_root=root)) == f'{root} ({key}.data_root)'
    voc = dict(type=VOCDataset, data_root=str(data), ann_file='VOC2007/ImageSets/Main/test.txt')
    assert refused(voc) == f'{data}/VOC2007/ImageSets/Main/test.txt ({key}.ann_file)'


def test_folders_that_are_listed(data):
    key = 'train_dataloader.dataset'
    seg = dict(type='BaseSegDataset', data_root=str(data), data_prefix=dict(img_path='images'))
    assert refused(seg, scope='mmseg') == f'{data}/images ({key}.data_prefix.img_path)'
    (data / 'images').mkdir()
    check(seg, scope='mmseg')
    folder = dict(type='CustomDataset', data_prefix=f'{data}/crops')
    assert refused(folder, scope='mmpretrain') == f'{data}/crops ({key}.data_prefix)'
    folder = dict(type='ImageNet', data_root=f'{data}/imagenet', split='val')
    assert refused(folder, scope='mmpretrain') == f'{data}/imagenet ({key}.data_root)'
    check(dict(folder, data_root=str(data)), scope='mmpretrain')


def test_metrics(data):
    wrong = dict(type='CocoMetric', ann_file=f'{data}/two.json')
    assert refused(None, wrong) == f'{data}/two.json (val_evaluator.ann_file)'
    several = [dict(type='VOCMetric'), wrong]
    assert refused(None, several) == f'{data}/two.json (val_evaluator.1.ann_file)'
    check(None, dict(wrong, ann_file=None))
    check(None, dict(type='DumpDetResults', ann_file='none'))


class OwnPlace(CocoDataset):
    """A project's data set, which looks elsewhere than it is told."""

    def __init__(self, ann_file, **kwargs):
        super().__init__(ann_file=f'{ann_file}.json', **kwargs)


class OwnReader(CocoDataset):
    """A project's data set, for which the annotation file is a name."""

    def load_data_list(self):
        """List one image, whatever the name."""
        return [dict(img_path='1.png', img_id=1, height=64, width=64, instances=[])]


def test_what_works_is_not_refused(data):
    """Each is built, too, where it is read without anything else."""
    absolute = dict(type='CocoDataset', data_root='none', ann_file=f'{data}/one.json')
    own = dict(data_root=str(data), ann_file='one')
    for dataset in (absolute, dict(own, type=OwnPlace), dict(own, type=OwnReader)):
        dataset = dict(dataset, data_prefix=dict(img='none'))
        check(dataset)
        with DefaultScope.overwrite_default_scope('mmdet'):
            assert len(DATASETS.build(dict(dataset, pipeline=[]))) == 1


@pytest.mark.parametrize(
    'dataset',
    [
        dict(type='CocoDataset', data_root='s3://bucket', ann_file='a.json'),
        dict(type='CocoDataset', ann_file='a.json', backend_args=dict(backend='petrel')),
        dict(type='CocoDataset', ann_file='http://localhost/a.json'),
        dict(type='mmpretrain.CIFAR10', data_prefix='none'),  # which it downloads into
        dict(type='mmpretrain.ImageNet', data_root='none', data_prefix='a', split='val'),
        dict(type='NobodysDataset', ann_file='a.json'),
        dict(type='nobody.Dataset', ann_file='a.json'),
        dict(type='ConcatDataset', datasets=[[1, 2]]),  # built already
        dict(),
        None,
        'a',
        [1, 2],
    ],
)
def test_what_may_be_elsewhere_is_not_checked(dataset):
    check(dataset)


def test_a_project_without_registries_of_its_own(data, monkeypatch):
    """Its module has those that it needs."""
    from mmengine import registry

    name = 'project_of_models'
    (data / name).mkdir()
    (data / name / '__init__.py').touch()
    (data / name / 'registry.py').write_text('from mmengine.registry import MODELS\n')
    monkeypatch.syspath_prepend(data)
    own = dict(type='CocoDataset', ann_file='none.json')
    check(own, scope=name)
    assert registry.DATASETS.get('CocoDataset') is None
    assert 'none.json' in refused(dict(own, type='mmdet.CocoDataset'), scope=name)


def test_what_training_does_not_read_is_not_checked(data):
    """Configs name the test set, too, which many do not have."""
    cfg = Config(
        dict(
            default_scope='mmdet',
            train_dataloader=dict(dataset=dict(type='CocoDataset', ann_file=f'{data}/one.json')),
            val_dataloader=None,
            test_dataloader=dict(dataset=dict(type='CocoDataset', ann_file='none.json')),
        )
    )
    check_data_files(cfg, *NAMES)
