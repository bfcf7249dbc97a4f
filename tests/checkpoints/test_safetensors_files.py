import json
import struct

import pytest
import torch

from hardnet_mm.checkpoints.files import load_weights
from hardnet_mm.utils.errors import InputError

safetensors = pytest.importorskip('safetensors.torch')


def test_a_header_whose_length_looks_like_a_web_page(tmp_path):
    """15392 bytes: in the file, the number begins as ' <'."""
    header = json.dumps(dict(weight=dict(dtype='F32', shape=[1], data_offsets=[0, 4]))).encode()
    length = int.from_bytes(b' <', 'little')
    content = struct.pack('<Q', length) + header.ljust(length) + struct.pack('<f', 3)
    (tmp_path / 'model.safetensors').write_bytes(content)
    loaded = load_weights(str(tmp_path / 'model.safetensors'))
    assert loaded['state_dict']['weight'].tolist() == [3]


def test_a_web_page_under_its_name(tmp_path):
    (tmp_path / 'page.safetensors').write_text('\n<html>not found</html>')
    with pytest.raises(InputError, match='page.safetensors is a web page'):
        load_weights(str(tmp_path / 'page.safetensors'))


@pytest.mark.parametrize('text', ['{', '[' * 10**5, '[1]', '3'])
def test_names_of_classes_that_are_no_dict(text, tmp_path):
    path = tmp_path / 'model.safetensors'
    safetensors.save_file(dict(weight=torch.ones(1)), path, metadata=dict(dataset_meta=text))
    with pytest.raises(InputError, match='model.safetensors is damaged: its dataset_meta is'):
        load_weights(str(path))
