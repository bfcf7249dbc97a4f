"""The page in the browser: what it computes, and, where gradio is there, the page itself."""

import cv2
import demo_page
import numpy as np
import pytest
import torch

from hardnet_mm.utils.errors import InputError


@pytest.fixture(scope='module')
def own(root, models, tmp_path_factory):
    """Configs and stand-in weights of a detector and a segmentor, as --model names them."""
    folder = tmp_path_factory.mktemp('weights')
    pairs = []
    for name in ('ssd_hardnet', 'fchardnet70', 'mseg_hardnet'):
        path = folder / f'{name}.pth'
        torch.save(dict(state_dict=models(name)[0].state_dict(), meta={}), path)
        pairs.append((str(root / f'configs/digits/{name}_digits.py'), str(path)))
    return pairs


@pytest.fixture(scope='module')
def picture():
    """RGB, as the browser sends it: red."""
    picture = np.random.default_rng(0).integers(0, 30, (64, 96, 3), np.uint8)
    picture[..., 0] += 200
    return picture


def test_a_model_is_chosen_and_predicts(own, picture):
    choices = demo_page.Models(own)
    detector, segmentor, one_foreground, *published = choices.choices
    assert detector == f'ssd_hardnet_digits: {own[0][1]}'
    assert 'ssd512_hardnet68_coco' in published
    drawn, rows, times = choices.predict(detector, picture, 0.01)
    assert drawn.shape == picture.shape and drawn.dtype == np.uint8
    scores = [score for _, score in rows]
    assert rows and scores == sorted(scores, reverse=True)
    assert {name for name, _ in rows} <= set('0123456789')
    assert ' ms to predict, ' in times
    drawn, fewer, _ = choices.predict(detector, picture, scores[0] - 0.001)
    assert 0 < len(fewer) < len(rows)
    assert np.median(drawn[..., 0]) > np.median(drawn[..., 2])  # still red
    drawn, rows, _ = choices.predict(segmentor, picture, 0.5)
    assert drawn.shape == picture.shape
    assert sum(share for _, share in rows) == pytest.approx(1, abs=0.01)
    drawn, rows, _ = choices.predict(one_foreground, picture, 0.5)
    assert drawn.shape == picture.shape and (drawn != picture).any()
    assert sorted(name for name, _ in rows) == ['background', 'digit']


def test_a_model_that_cannot_be_loaded(own, picture):
    """The one before it can be chosen again."""
    choices = demo_page.Models(own[:1])
    name = next(iter(choices.choices))
    choices.get(name)
    choices.choices['broken'] = (own[0][0], 'missing.pth')
    with pytest.raises(FileNotFoundError, match='missing.pth'):
        choices.predict('broken', picture, 0.5)
    assert choices.predict(name, picture, 0.5)[0].shape == picture.shape


def test_the_page_predicts(own, picture, tmp_path):
    pytest.importorskip('gradio', reason="pip install 'hardnet_mm[demo]'")
    client = pytest.importorskip('gradio_client')
    choices = demo_page.Models(own)
    page = demo_page.build_page(choices, 0.3)
    cv2.imwrite(str(tmp_path / 'picture.png'), picture[..., ::-1])
    name = next(iter(choices.choices))
    _, address, _ = page.launch(server_name='127.0.0.1', prevent_thread_lock=True, quiet=True)
    try:
        caller = client.Client(address, verbose=False)
        given = client.handle_file(str(tmp_path / 'picture.png'))
        drawn, rows, times = caller.predict(name, given, 0.01, api_name='/predict')
        assert cv2.imread(drawn).shape == picture.shape
        assert rows['data'] == choices.predict(name, picture, 0.01)[1]
        assert ' ms to predict, ' in times
        assert caller.predict(name, None, 0.01, api_name='/predict')[2] == 'Drop a picture first.'
    finally:
        page.close()


def test_weights_that_are_of_another_config(own, picture):
    choices = demo_page.Models([(own[0][0], own[1][1])])
    with pytest.raises(InputError, match='is not one of this config'):
        choices.predict(next(iter(choices.choices)), picture, 0.3)
