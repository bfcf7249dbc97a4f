"""Runs with a predictor that is quick: what is in the network's batches, and how runs end."""

import json
import os
import signal
from types import SimpleNamespace

import cv2
import pytest
import torch
from helpers.pictures import image, read_video, write_video

from hardnet_mm.inference import runs
from hardnet_mm.inference.results import ResultFolder
from hardnet_mm.inference.sources import find_sources


def read(folder, name):
    return json.loads((folder / name).read_text())


class Told:
    """A predictor that tells how many frames it is given, and draws them as they are."""

    has_label_maps, category_ids = False, [0]
    model = SimpleNamespace(classes=['a'], palette=[(0, 0, 0)])

    def __init__(self):
        self.batches = []

    def prepare(self, image):
        return dict(inputs=torch.zeros(image.shape), data_samples=None)

    def predict(self, items):
        self.batches.append(len(items))
        return [len(self.batches)] * len(items)

    def draw(self, image, sample):
        return image

    def entries(self, sample):
        return [dict(batch=sample)]


def test_batches_are_of_one_size(tmp_path):
    for number, size in enumerate([(48, 64), (48, 64), (48, 64), (32, 32), (32, 32)]):
        cv2.imwrite(str(tmp_path / f'{number}.png'), image(size=size))
    predictor = Told()
    folder = ResultFolder(tmp_path / 'out', predictor)
    outcome = runs.predict_all(find_sources(str(tmp_path)), predictor, folder, batch_size=2)
    assert outcome.count == outcome.expected == 5 and predictor.batches == [2, 1, 2]
    found = [entry['batch'] for entry in read(tmp_path / 'out', 'predictions.json')]
    assert found == [1, 1, 2, 3, 3]


SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize('number', SIGNALS)
def test_a_signal_leaves_whole_files(tmp_path, monkeypatch, number):
    path = write_video(tmp_path / 'clip.mp4', 9)
    predictor, handler = Told(), signal.getsignal(number)

    def predict(items):
        if len(predictor.batches) == 2:
            os.kill(os.getpid(), number)
        return Told.predict(predictor, items)

    monkeypatch.setattr(predictor, 'predict', predict)
    folder = ResultFolder(tmp_path / 'out', predictor)
    outcome = runs.predict_all(find_sources(str(path)), predictor, folder)
    assert outcome.stopped_by == number and outcome.count == outcome.expected == 3
    assert len(read_video(tmp_path / 'out/drawn/clip.mp4')) == 3
    assert len(read(tmp_path / 'out', 'predictions.json')) == 3
    assert signal.getsignal(number) is handler


def test_an_error_leaves_whole_files(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'clip.mp4', 5)
    predictor = Told()

    def draw(image, sample):
        if sample == 4:
            raise RuntimeError('a bug')
        return image

    monkeypatch.setattr(predictor, 'draw', draw)
    folder = ResultFolder(tmp_path / 'out', predictor)
    handlers = list(map(signal.getsignal, SIGNALS))
    with pytest.raises(RuntimeError, match='a bug'):
        runs.predict_all(find_sources(str(path)), predictor, folder)
    assert list(map(signal.getsignal, SIGNALS)) == handlers
    assert len(read_video(tmp_path / 'out/drawn/clip.mp4')) == 3
    assert len(read(tmp_path / 'out', 'images.json')['images']) == 3


def test_a_video_that_cannot_be_completed_leaves_whole_lists(tmp_path, monkeypatch):
    path = write_video(tmp_path / 'clip.mp4', 3)
    predictor, out = Told(), tmp_path / 'out'

    def predict(items):
        for unfinished in (out / 'drawn').glob('.new-*/*'):
            unfinished.unlink()
        return Told.predict(predictor, items)

    monkeypatch.setattr(predictor, 'predict', predict)
    with pytest.raises(FileNotFoundError):
        runs.predict_all(find_sources(str(path)), predictor, ResultFolder(out, predictor))
    assert len(read(out, 'predictions.json')) == len(read(out, 'images.json')['images']) == 3
