"""Published results over the latency that benchmark.py measured."""

import json
import math
import re
import statistics
import textwrap
from pathlib import Path

from hardnet_mm.utils.errors import InputError

from .style import BLUE, DPI, FAINT, INK, RULE, WIDTH, plt

NEEDED = ('model', 'form', 'seconds', 'published')
# as hardnet_mm.benchmark.models.published_result() writes it: '78.7 mIoU, Cityscapes (mmseg)'
PUBLISHED = re.compile(r'(?P<value>[\d.]+) (?P<unit>.+), (?P<dataset>.+) \(\w+\)')
LINE = 13  # pixels of a label's height
# where a label may stand beside its point, the best place first: pixels right, pixels up
PLACES = [(9, 0), (-9, 0), (0, 13), (0, -13), (8, 10), (8, -10), (-8, 10), (-8, -10)]


def read_panels(paths):
    """Read the files that ``benchmark.py --out-dir`` writes.

    Args:
        paths (list[str]): Paths of ``results.json`` files.

    Returns:
        list[dict]: A panel for each file, with ``title``, ``unit``, ``dataset`` and ``points``.
        Points are dicts with ``name``, ``latency`` in ms, ``result``, and ``ours``, which is
        whether it is a model of this plugin.

    Raises:
        InputError: If a file is not such a file, or its published results are not comparable.
    """
    return [read_panel(path) for path in paths]


def read_panel(path):
    """Read one file."""
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
        title, results = content['title'], content['results']
        rows = [{key: result[key] for key in NEEDED} for result in results]
        latencies = [1000 * statistics.median(row['seconds']) for row in rows]
    except (ValueError, KeyError, TypeError, statistics.StatisticsError) as error:
        raise InputError(
            f'{path} is no results.json of benchmark.py --out-dir: {type(error).__name__}: {error}'
        ) from error
    points, scales = [], set()
    several = len({row['form'] for row in rows}) > 1
    for row, latency in zip(rows, latencies):
        if row['published']:
            match = PUBLISHED.fullmatch(row['published'])
            if match is None:
                raise InputError(
                    f"{path}: published must be as '78.7 mIoU, Cityscapes (mmseg)', got "
                    f'{row["published"]!r} of {row["model"]}'
                )
            name = f'{row["model"]}, {row["form"]}' if several else row['model']
            scales.add((match['unit'], match['dataset']))
            ours = 'hardnet' in row['model'].lower()
            point = dict(name=name, latency=latency, result=float(match['value']), ours=ours)
            points.append(point)
    if len(scales) != 1:
        raise InputError(
            f'{path}: the published results must be of one metric on one data set, got '
            f'{sorted(scales)}'
        )
    (unit, dataset), form = scales.pop(), '' if several else f', {rows[0]["form"]}'
    return dict(title=f'{title}{form}', unit=unit, dataset=dataset, points=points)


def draw_accuracy(panels):
    """Draw a panel for each file, two per row, and return the figure."""
    columns = min(2, len(panels))
    lines = math.ceil(len(panels) / columns)
    figure, grid = plt.subplots(
        lines,
        columns,
        figsize=(WIDTH / DPI, 0.35 + 3.75 * lines),
        squeeze=False,
        layout='constrained',
        facecolor='white',
    )
    figure.suptitle(
        'Accuracy as published, each at its own size and not measured here, over measured latency',
        weight='bold',
        fontsize=11,
    )
    cells = list(grid.flat)
    for axes, panel in zip(cells, panels):
        draw_panel(axes, panel)
    for axes in cells[len(panels) :]:
        axes.axis('off')
    figure.canvas.draw()  # the layout is final, and labels can be placed
    figure.set_layout_engine('none')
    for axes, panel in zip(cells, panels):
        place_labels(axes, panel['points'])
    return figure


def draw_panel(axes, panel):
    """Draw the points and the axes of a panel."""
    for ours in (False, True):
        points = [point for point in panel['points'] if point['ours'] == ours]
        axes.scatter(
            [point['latency'] for point in points],
            [point['result'] for point in points],
            color=BLUE if ours else FAINT,
            s=42 if ours else 26,
            zorder=3,
        )
    latencies = [point['latency'] for point in panel['points']]
    results = [point['result'] for point in panel['points']]
    spread = max(results) - min(results) or 1
    axes.set_xlim(0, 1.22 * max(latencies))
    axes.set_ylim(min(results) - 0.12 * spread, max(results) + 0.15 * spread)
    axes.set_title(textwrap.fill(panel['title'], 60), fontsize=8, color=FAINT)
    axes.set_xlabel('measured latency, ms')
    axes.set_ylabel(f'published {panel["unit"]}, {panel["dataset"]}')
    axes.grid(color=RULE, lw=0.7)
    axes.spines[['top', 'right']].set_visible(False)


def place_labels(axes, points):
    """Write each point's name at a place where it covers no point, no name and no border."""
    renderer = axes.figure.canvas.get_renderer()
    frame = axes.get_window_extent()
    centres = [axes.transData.transform((p['latency'], p['result'])) for p in points]
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    for point, (x, y) in zip(points, centres):
        text = axes.annotate(
            point['name'],
            (point['latency'], point['result']),
            xytext=(0, 0),
            textcoords='offset points',
            fontsize=8.5,
            weight='bold' if point['ours'] else 'normal',
            color=BLUE if point['ours'] else INK,
        )
        width = text.get_window_extent(renderer).width
        own = (x - 6, y - 6, x + 6, y + 6)
        others = [box for box in taken if box != own]
        costs = []
        for right, up in PLACES:
            left = x + right - width * (1 - (right > 0) - (right == 0) / 2)
            box = (left, y + up - LINE / 2, left + width, y + up + LINE / 2)
            outside = box[0] < frame.x0 or box[2] > frame.x1 or box[1] < frame.y0
            costs.append((sum(overlap(box, other) for other in others) + 1000 * outside, box))
        best = min(range(len(PLACES)), key=lambda place: costs[place][0])
        right, up = PLACES[best]
        text.set_horizontalalignment('left' if right > 0 else 'right' if right < 0 else 'center')
        text.set_verticalalignment('center')
        text.xyann = (right * 72 / DPI, up * 72 / DPI)
        taken.append(costs[best][1])


def overlap(box, other):
    """Return the area of the intersection of two boxes (left, bottom, right, top)."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    return max(0, width) * max(0, height)
