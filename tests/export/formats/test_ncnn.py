"""What is changed in a file of ncnn."""

from hardnet_mm.export.formats.ncnn import rename_blobs


def test_ncnn_blobs_are_renamed_where_they_are_blobs():
    text = '7767517\n2 2\nInput   in0  0 1 in0\nReLU out0 1 1 in0 out0 0=0.1\n'
    renamed = rename_blobs(text, dict(in0='images', out0='scores'))
    assert renamed.splitlines()[2:] == [
        'Input in0 0 1 images',
        'ReLU out0 1 1 images scores 0=0.1',
    ]
