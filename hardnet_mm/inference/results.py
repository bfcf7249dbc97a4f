"""Stores predictions in a folder. Each file appears only when it is complete."""

import json
from contextlib import ExitStack
from pathlib import Path

import cv2
import mmcv
import numpy as np

from ..utils.errors import InputError
from ..utils.files import written_whole

FOURCC = 'mp4v'  # the codec of OpenCV's wheels for .mp4


class JsonList:
    """Writes a list to a JSON file, entry by entry.

    Args:
        path (Path): The file. It is valid JSON after :meth:`close`.
        before (str): Text before the list. Defaults to ''.
        after (str): Text after the list. Defaults to ''.
    """

    def __init__(self, path, before='', after=''):
        self._file, self._after = open(path, 'w', encoding='utf-8'), after
        self._file.write(f'{before}[')
        self._separator = '\n'

    def add(self, entry):
        """Write an entry, any value that ``json.dumps`` takes."""
        self._file.write(self._separator + json.dumps(entry))
        self._separator = ',\n'

    def close(self):
        """Complete and close the file."""
        self._file.write(f'\n]{self._after}\n')
        self._file.close()


class VideoFile:
    """Writes a video to a file, frame by frame.

    Args:
        path (Path): The file. It is playable after :meth:`close`.
        rate (float): Frames a second.
        size (tuple[int, int]): Height and width in pixels. Frames of another size are resized.

    Raises:
        InputError: If OpenCV cannot write such a video.
    """

    def __init__(self, path, rate, size):
        self._size = size[1], size[0]
        fourcc = cv2.VideoWriter_fourcc(*FOURCC)
        self._writer = cv2.VideoWriter(str(path), fourcc, rate, self._size)
        if not self._writer.isOpened():
            raise InputError(f'OpenCV writes no {FOURCC} video of {size} to {path}')

    def add(self, image):
        """Write a frame ``(H, W, 3)`` uint8, BGR."""
        if image.shape[1::-1] != self._size:
            image = mmcv.imresize(image, self._size)
        self._writer.write(np.ascontiguousarray(image))

    def close(self):
        """Complete and close the file."""
        self._writer.release()


class ResultFolder:
    """A new folder with the predictions of a run. It is made with the first frame.

    It contains:

    - ``images.json``: ``images`` and ``categories`` in COCO's annotation format.
    - ``predictions.json``: the predictions of a detector or classifier, by ``image_id``.
    - ``labels/``: the label maps of a segmentor, as PNG.
    - ``probabilities/``: the foreground's probabilities, as PNG, of a model with one channel.
    - ``drawn/``: the drawn images and videos.

    Args:
        path (Path): The folder.
        predictor (Predictor): As of :func:`~hardnet_mm.inference.predictors.make_predictor`.
    """

    def __init__(self, path, predictor):
        self.path, self.predictor, self.count = Path(path), predictor, 0
        self._names, self._source = set(), None
        self._lists, self._video = ExitStack(), ExitStack()

    def __enter__(self):
        """Return the folder itself."""
        return self

    def __exit__(self, *_):
        """Complete all files, whether or not the run ended by an error."""
        try:
            self._video.close()
        finally:  # the lists are completed even if the video cannot be
            self._lists.close()

    def write(self, frame, sample, drawn):
        """Store a prediction.

        Args:
            frame (Frame): The frame that the prediction belongs to.
            sample (BaseDataElement): The prediction.
            drawn (ndarray, optional): The drawn image, uint8, BGR. None: no drawing is stored.
        """
        if self.count == 0:
            self._begin()
        self.count += 1
        if frame.source is not self._source:
            self._begin_source(frame)
        name = self._name if frame.number is None else f'{self._name}/{frame.number:06d}'
        height, width = frame.image.shape[:2]
        image = dict(id=self.count, file_name=str(frame.source.address), height=height, width=width)
        self._images.add(image if frame.number is None else dict(image, frame=frame.number))
        if self.predictor.has_label_maps:
            self._write_maps(name, sample)
        else:
            for entry in self.predictor.entries(sample):
                self._predictions.add(dict(image_id=self.count, **entry))
        if drawn is not None:
            self._write_drawn(frame, drawn)

    def _write_maps(self, name, sample):
        write_image(self.path / 'labels' / f'{name}.png', self.predictor.label_map(sample))
        probabilities = self.predictor.probability_map(sample)
        if probabilities is not None:
            write_image(self.path / 'probabilities' / f'{name}.png', probabilities)

    def _write_drawn(self, frame, drawn):
        path = self.path / 'drawn' / self._name
        if frame.number is None:
            return write_image(path.with_name(f'{path.name}.jpg'), drawn)
        if self._writer is None:
            new = self._video.enter_context(written_whole(path.with_name(f'{path.name}.mp4')))
            self._writer = VideoFile(new, frame.rate, drawn.shape[:2])
            self._video.callback(self._writer.close)
        self._writer.add(drawn)

    def _begin(self):
        self.path.mkdir(parents=True)
        model = self.predictor.model
        categories = [
            dict(id=number, name=name, color=color)
            for number, name, color in zip(
                self.predictor.category_ids, model.classes, model.palette
            )
        ]
        before = f'{{"categories": {json.dumps(categories)},\n"images": '
        self._images = self._open('images.json', before, '}')
        if not self.predictor.has_label_maps:
            self._predictions = self._open('predictions.json')

    def _open(self, name, *around):
        opened = JsonList(self._lists.enter_context(written_whole(self.path / name)), *around)
        self._lists.callback(opened.close)
        return opened

    def _begin_source(self, frame):
        """Complete the last source's video, and choose an unused name for the new source."""
        self._video.close()
        self._source, self._writer = frame.source, None
        name, number = frame.source.name, 1
        while name in self._names:
            number += 1
            name = f'{frame.source.name}-{number}'
        self._names.add(name)
        self._name = name


def write_image(path, image):
    """Write an image, complete or not at all.

    Args:
        path (Path): The file, whose suffix names the format.
        image (ndarray): ``(H, W)`` or ``(H, W, 3)`` BGR.

    Raises:
        OSError: If the image cannot be written.
    """
    with written_whole(path) as new:
        if not mmcv.imwrite(np.ascontiguousarray(image), str(new)):
            raise OSError(f'{path} cannot be written')
