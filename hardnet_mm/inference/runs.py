"""Predicts on many sources, in batches, with a progress bar. An early end leaves valid files."""

import signal
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ..utils.errors import InputError
from .frames import read_frames

PARTS = ('reading', 'preparing', 'network', 'drawing', 'writing')
SHOWN_PARTS = ('network', 'drawing')


@dataclass
class Outcome:
    """The outcome of a run.

    Attributes:
        expected (int): Number of frames, as far as is known by now.
        count (int): Number of frames with a prediction.
        seconds (Counter[str]): Seconds that each of :data:`PARTS` took.
        skipped (list[str]): A line for each input that could not be predicted on, with the reason.
        stopped_by (int): The signal that ended the run early. 0: none did.
    """

    expected: int = 0
    count: int = 0
    seconds: Counter = field(default_factory=Counter)
    skipped: list = field(default_factory=list)
    stopped_by: int = 0

    @contextmanager
    def timed(self, part):
        """Add the time of the ``with`` block to a part's seconds."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start

    @property
    def rate(self):
        """Frames per second over the complete run."""
        return self.count / max(sum(self.seconds.values()), 1e-9)

    def share(self, part):
        """Return a part's share of the time, in per cent."""
        return 100 * self.seconds[part] / max(sum(self.seconds.values()), 1e-9)

    def __str__(self):
        """Return the outcome in one line."""
        shares = ', '.join(f'{part} {self.share(part):.0f} %' for part in PARTS)
        return f'{self.count} images, {self.rate:.1f} images/s: {shares}'


def predict_all(sources, predictor, folder, batch_size=1, draw=True):
    """Predict on every frame of every source.

    Sources that cannot be read are reported and skipped. The first SIGINT or SIGTERM ends the run
    after the current batch, the second one at once.

    Args:
        sources (list[Source]): As of :func:`~hardnet_mm.inference.sources.find_sources`.
        predictor (Predictor): As of :func:`~hardnet_mm.inference.predictors.make_predictor`.
        folder (ResultFolder): Where the results are stored.
        batch_size (int): Number of frames in a batch. Defaults to 1.
        draw (bool): Whether drawn images and videos are stored. Defaults to True.

    Returns:
        Outcome: Counts, times and skipped inputs.
    """
    outcome = Outcome(len(sources))
    with _progress() as progress, folder, _stopping(outcome):
        frames = _read_all(sources, outcome, progress.console)
        items = _prepare_all(frames, predictor, outcome, progress.console)
        for batch in _batches(items, batch_size):
            for frame, sample in _predict(batch, predictor, outcome, progress.console):
                drawn = None
                if draw:
                    with outcome.timed('drawing'):
                        drawn = predictor.draw(frame.image, sample)
                with outcome.timed('writing'):
                    folder.write(frame, sample, drawn)
                outcome.count += 1
            _show(outcome, progress)
    return outcome


def _read_all(sources, outcome, console):
    """Yield the frames of the sources, until the run is stopped."""
    for source in sources:
        frames, read, promised = read_frames(source), 0, 1
        try:
            while not outcome.stopped_by:
                with outcome.timed('reading'):
                    frame = next(frames, None)
                if frame is None:
                    break
                read, before = read + 1, promised
                promised = frame.of or read + 1  # a running camera always has a next frame
                outcome.expected += promised - before
                yield frame
        except (InputError, OSError) as error:
            _skip(source, error, outcome, console)
        finally:
            frames.close()
        outcome.expected += read - promised
        if outcome.stopped_by:
            return


def _prepare_all(frames, predictor, outcome, console):
    """Yield pairs of a frame and its prepared item, as of ``Predictor.prepare``."""
    for frame in frames:
        try:
            with outcome.timed('preparing'):
                item = predictor.prepare(frame.image)
        except (InputError, cv2.error) as error:
            _skip(frame.source, error, outcome, console)
        else:
            yield frame, item


def _predict(batch, predictor, outcome, console):
    """Return pairs of a frame and its prediction, none if the model refuses the images' size."""
    try:
        with outcome.timed('network'):
            samples = predictor.predict([item for _, item in batch])
    except InputError as error:
        for frame, _ in batch:
            _skip(frame.source, error, outcome, console)
        return []
    return [(frame, sample) for (frame, _), sample in zip(batch, samples)]


def _batches(pairs, size):
    """Group pairs of a frame and an item into lists whose inputs have the same shape."""
    batch = []
    for frame, item in pairs:
        if batch and item['inputs'].shape != batch[-1][1]['inputs'].shape:
            yield batch
            batch = []
        batch.append((frame, item))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _skip(source, error, outcome, console):
    words = ' '.join(str(error).split())
    line = words if str(source) in words else f'{source}: {words}'
    if line in outcome.skipped:  # every frame of a video gives the same line
        return
    outcome.skipped.append(line)
    console.print(f'skipped: {line}', markup=False, highlight=False, soft_wrap=True)


def _progress():
    columns = ('{task.completed}/{task.total} images', '{task.fields[rate]:.1f} images/s')
    columns += tuple(f'{part} {{task.fields[{part}]:.0f}} %' for part in SHOWN_PARTS)
    columns = (BarColumn(20), *map(TextColumn, columns), TimeElapsedColumn())
    progress = Progress(*columns, console=Console(stderr=True))
    progress.add_task('', rate=0, **dict.fromkeys(SHOWN_PARTS, 0))
    return progress


def _show(outcome, progress):
    """Update the progress bar."""
    known = {part: outcome.share(part) for part in SHOWN_PARTS}
    known |= dict(completed=outcome.count, total=outcome.expected, rate=outcome.rate)
    progress.update(progress.task_ids[0], **known)


@contextmanager
def _stopping(outcome):
    """Let the first signal request an end; the second one has its usual effect."""
    before = {}

    def stop(number, _):
        outcome.stopped_by = number
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
