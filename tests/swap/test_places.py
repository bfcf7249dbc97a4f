"""The backbone of a model, wherever it stands and whatever it is called."""

import pytest
from helpers.tiny_project import SCOPE
from mmengine.config import ConfigDict

from hardnet_mm.swap.places import locate, other_backbones, outward, reach, scope_within

PYRAMID = dict(type='Pyramid', channels=(8,), strides=(4,))


def find(path=None, scope=SCOPE, **model):
    return locate(ConfigDict(type='Model', **model), scope, path)


def test_the_models_own():
    assert find(backbone=PYRAMID, teacher=dict(type='T', backbone=PYRAMID)) == ('backbone',)


def test_the_only_one_further_inside():
    inside = dict(type='Detector', backbone=dict(PYRAMID, backbone=dict(type='Inner')))
    assert find(detector=inside) == ('detector', 'backbone')
    assert find(img_backbone=PYRAMID) == ('img_backbone',)


def test_one_of_another_name_is_known_by_its_class():
    assert find(
        encoder=dict(type='ResNet', depth=18), head=dict(type='FCOSHead'), scope='mmdet'
    ) == ('encoder',)


def test_several_want_a_path():
    model = dict(student=dict(type='S', backbone=PYRAMID), teacher=dict(type='T', backbone=PYRAMID))
    with pytest.raises(ValueError, match='--backbone student.backbone or teacher.backbone'):
        find(**model)
    assert find('student.backbone', **model) == ('student', 'backbone')
    assert find('model.teacher.backbone', **model) == ('teacher', 'backbone')
    with pytest.raises(ValueError, match='no model part student.neck'):
        find('student.neck', **model)
    assert other_backbones(ConfigDict(model), ('student', 'backbone')) == ['teacher.backbone']


@pytest.mark.parametrize('model', [{}, dict(backbone='made in code'), dict(head=dict(type='H'))])
def test_refuses_a_model_without_one(model):
    with pytest.raises(ValueError, match='Model has no model.backbone dict to replace'):
        find(**model)


def test_a_model_that_is_read_from_another_config():
    """As the student and the teacher are in mmrazor's distillation."""
    parts = dict(architecture=dict(cfg_path='mmseg::a.py'), teacher=dict(cfg_path='mmseg::b.py'))
    with pytest.raises(ValueError, match="architecture.cfg_path = 'mmseg::a.py'; model.teacher"):
        find(**parts)


def test_differences_are_put_where_the_backbone_is():
    assert outward(dict(x=1), ('student', 'net')) == dict(student=dict(net=dict(x=1)))
    assert reach(dict(a=dict(b=2)), ('a', 'b')) == 2


def test_the_scope_of_a_part_is_the_nearest():
    head = dict(type='H', cls=dict(type='C', _scope_='c'))
    model = ConfigDict(dict(type='M', _scope_='m', backbone=dict(type='B'), head=head))
    assert scope_within(model, ('backbone',)) == scope_within(model, ('head',)) == 'm'
    assert scope_within(model, ('head', 'cls')) == 'c'
    model.pop('_scope_')
    assert scope_within(model, ('backbone',)) is None
