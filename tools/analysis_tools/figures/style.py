"""The style of all figures: colours, size and saving."""

import matplotlib

from hardnet_mm.utils.files import written_whole

matplotlib.use('Agg')
import matplotlib.pyplot as plt  # noqa: E402

DPI = 100
WIDTH = 900  # pixels
INK, FAINT, RULE = '#1f2933', '#6b7785', '#d5dbe1'
BLUE, ORANGE, GREEN, VIOLET, RED = '#2563a8', '#c2640c', '#2f7d4f', '#7a4ea3', '#b3363f'

plt.rcParams.update(
    {
        'font.family': 'DejaVu Sans',  # comes with matplotlib: the same everywhere
        'font.size': 9,
        'figure.dpi': DPI,
        'text.color': INK,
        'axes.edgecolor': FAINT,
        'axes.labelcolor': INK,
        'xtick.color': INK,
        'ytick.color': INK,
        'svg.hashsalt': 'hardnet_mm',  # the same figure gives the same file
    }
)


def new_canvas(height):
    """Return a figure of the common width and a given height, and its axes, both in pixels."""
    figure = plt.figure(figsize=(WIDTH / DPI, height / DPI), facecolor='white')
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    axes.axis('off')
    return figure, axes


def save(figure, path):
    """Write a figure atomically, and without the date."""
    with written_whole(path) as new:
        figure.savefig(new, dpi=DPI, metadata={'Date': None} if new.suffix == '.svg' else {})
    plt.close(figure)
