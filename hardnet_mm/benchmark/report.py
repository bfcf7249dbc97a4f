"""The results of a benchmark as a Markdown table, as JSON and as a plot."""

import json
import platform
import statistics
from pathlib import Path

import torch

from .measure import spread

HEADER = (
    '| model | form | parameters | GMACs | latency, ms | 10th to 90th percentile | images/s '
    '| memory, MiB | of the peak | published |\n|---|---|---|---|---|---|---|---|---|---|'
)


def describe_machine(device):
    """Return the name of the GPU or CPU that a benchmark ran on, and PyTorch's version.

    Args:
        device (str): The device, as ``torch.device`` takes it.
    """
    if device.startswith('cuda'):
        return f'{torch.cuda.get_device_name(device)}, torch {torch.__version__}'
    name = platform.processor() or platform.machine()
    if (cpus := Path('/proc/cpuinfo')).exists():
        names = [line for line in cpus.read_text().splitlines() if line.startswith('model name')]
        name = names[0].partition(':')[2].strip() if names else name
    return f'{name}, {torch.get_num_threads()} threads, torch {torch.__version__}'


def markdown_table(results):
    """Return results as a Markdown table, a row a result.

    Args:
        results (list[dict]): ``model``, ``form``, ``published`` (str), ``parameters`` and ``macs``
            (int), ``seconds`` of each run (list[float]), ``batch_size`` (int), ``memory`` in bytes
            (int or None), and ``share_of_peak``, from 0 to 1 (float).
    """
    lines = [HEADER]
    for result in results:
        low, high = (1000 * value for value in spread(result['seconds']))
        latency = statistics.median(result['seconds'])
        memory = result['memory']
        cells = (
            result['model'],
            result['form'],
            f'{result["parameters"] / 1e6:.2f} M',
            f'{result["macs"] / 1e9:.2f}',
            f'{1000 * latency:.1f}',
            f'{low:.1f} to {high:.1f}',
            f'{result["batch_size"] / latency:.2f}',
            '' if memory is None else f'{memory / 2**20:.0f}',
            f'{100 * result["share_of_peak"]:.0f} %',
            result['published'],
        )
        lines.append(f'| {" | ".join(cells)} |')
    return '\n'.join(lines)


def write_results(folder, title, results, settings):
    """Write ``table.md``, ``results.json`` and ``latency.png`` to a new folder.

    Args:
        folder (Path): The folder.
        title (str): Title of the table and the plot.
        results (list[dict]): As of :func:`markdown_table`.
        settings (dict): Settings of the benchmark, stored in the JSON file.

    Raises:
        FileExistsError: If the folder exists.
    """
    folder.mkdir(parents=True)
    (folder / 'table.md').write_text(f'{title}\n\n{markdown_table(results)}\n')
    (folder / 'results.json').write_text(
        json.dumps(dict(title=title, settings=settings, results=results), indent=2) + '\n'
    )
    plot_latencies(results, title, folder / 'latency.png')


def plot_latencies(results, title, path):
    """Draw the median latencies as bars, with the 10th and 90th percentiles as whiskers.

    Args:
        results (list[dict]): As of :func:`markdown_table`.
        title (str): Title of the plot.
        path (Path): The new image file.
    """
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    names = [f'{result["model"]}, {result["form"]}' for result in results]
    medians = [1000 * statistics.median(result['seconds']) for result in results]
    spreads = [[1000 * value for value in spread(result['seconds'])] for result in results]
    whiskers = [
        [median - low for median, (low, _) in zip(medians, spreads)],
        [high - median for median, (_, high) in zip(medians, spreads)],
    ]
    figure, axes = plt.subplots(figsize=(9, 1 + 0.4 * len(results)), layout='constrained')
    axes.barh(names, medians, xerr=whiskers)
    axes.invert_yaxis()
    axes.set_xlabel('latency, ms')
    axes.set_title(title, fontsize='small', wrap=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)
