"""Who calls which operator, read from sources."""

import pytest
from analysis_tools import list_operators as tool

from hardnet_mm.compat.mmcv_operators import OPERATORS


@pytest.fixture(scope='module')
def operators():
    return tool.Operators(tool.installed_folder('mmcv') / 'ops')


def test_names_reach_operators_through_functions_and_modules(operators):
    assert operators.reached['sigmoid_focal_loss'] == {
        'sigmoid_focal_loss_forward',
        'sigmoid_focal_loss_backward',
    }
    deformed = {'deform_conv_forward', 'deform_conv_backward_input'}
    assert deformed < operators.reached['DeformConv2dPack']
    assert operators.registered['DCN'] == 'DeformConv2dPack'
    assert operators.registered['MMSyncBN'] == 'SyncBatchNorm'
    assert not operators.reached['CrissCrossAttention']


def test_callers_import_a_name_or_build_it(operators, tmp_path):
    (tmp_path / 'imports.py').write_text('from mmcv.ops.nms import nms_match\n')
    (tmp_path / '.mim').mkdir()
    (tmp_path / '.mim/config.py').write_text(
        "model = dict(up=dict(type='carafe'), nms={'type': 'soft_nms'}, name='PSAMask')\n"
    )
    found = tool.callers({'toolbox': tmp_path}, operators)
    assert found['nms_match'] == {('toolbox', 'nms_match'): 1}
    assert found['carafe_forward'] == {('toolbox', 'CARAFEPack'): 1}
    assert 'softnms' in found and 'psamask_forward' not in found
    lines = tool.table(found, operators)
    row = next(line for line in lines if '`nms_match`' in line)
    assert f'| {OPERATORS["nms_match"].computed_by} |' in row
    assert '`knn_forward`' in lines[-1]
