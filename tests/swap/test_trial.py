from mmengine.config import Config
from torch import nn

from hardnet_mm.swap.trial import branches, clip_boxes, image_size, random_batch


def test_self_supervision_has_views():
    batch = random_batch(Config(dict(default_scope='mmpretrain', model=dict())), views=2)
    assert [view.shape for view in batch['inputs']] == [(2, 3, 224, 224)] * 2


def test_images_are_as_large_as_a_part_of_the_model_needs():
    def size(head):
        model = dict(decode_head=dict(type=head))
        return image_size(Config(dict(default_scope='mmseg', model=model)))

    assert size('FCNHead') == (128, 128)
    assert size('LRASPPHead') == (400, 400)


def test_boxes_end_at_the_image():
    from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

    model = nn.Sequential(nn.Module())
    model[0].bbox_coder = DeltaXYWHBBoxCoder(clip_border=False)
    clip_boxes(model)
    assert model[0].bbox_coder.clip_border


def test_semi_supervision_has_branches():
    batch = random_batch(Config(dict(default_scope='mmdet', model=dict())))
    halves = branches(batch)
    assert set(halves['inputs']) == {'sup', 'unsup_teacher', 'unsup_student'}
    student, teacher = (halves['data_samples'][f'unsup_{who}'] for who in ('student', 'teacher'))
    assert student[0] is not teacher[0] and student[0].homography_matrix.trace() == 3
