"""Measure models side by side: latency, throughput, memory, parameters, multiply-adds.

The models run in turn, so that a disturbance affects all of them. Classifiers are timed up to the
logits, detectors up to the head's raw outputs, segmentors up to the label map at the images' size.
"""

import argparse
import copy
import logging
import statistics
import sys
from pathlib import Path

import torch

from hardnet_mm.benchmark.forms import DTYPES, FORMS
from hardnet_mm.benchmark.measure import convolution_peak, count_macs, interleave, peak_memory
from hardnet_mm.benchmark.models import Subject, published_result
from hardnet_mm.benchmark.presets import PRESETS
from hardnet_mm.benchmark.report import describe_machine, markdown_table, write_results
from hardnet_mm.utils.configs import build_model, read_config

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import check_new_folder, expanded_path  # noqa: E402


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('configs', nargs='*', help='configs, by path or by name: mmdet::retinanet/....py')
    add('--preset', choices=PRESETS, help='a prepared comparison')
    add(
        '--forms',
        nargs='+',
        choices=FORMS,
        default=['deploy'],
        help='forms that every model is measured in; default: deploy',
    )
    add(
        '--hub',
        nargs='+',
        default=[],
        metavar='FOLDER:NAME',
        help='models of other programs, measured unchanged: a clone with a hubconf.py, and a '
        "model's name in it; the clone's code is executed",
    )
    add('--dtype', choices=DTYPES, default='float32')
    add(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help="size of the images; default: the preset's, or 512 512",
    )
    add('--batch-size', type=int, default=1)
    add('--runs', type=int, help="timed runs of each; default: the preset's, or 20")
    add('--warmup', type=int, default=3, help='untimed runs of each before those; default: 3')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--threads', type=int, help="threads on a CPU; default: PyTorch's")
    add(
        '--out-dir',
        type=expanded_path,
        help='new folder for table.md, results.json and latency.png',
    )
    args = parser.parse_args()
    if not args.configs and not args.preset and not args.hub:
        parser.error('name configs, a --preset or a --hub model')
    for entry in args.hub:
        folder, _, name = entry.rpartition(':')
        if not name or not Path(folder, 'hubconf.py').is_file():
            parser.error(f'--hub takes FOLDER:NAME with a hubconf.py in the folder, got {entry!r}')
    if args.out_dir is not None:
        check_new_folder(parser, '--out-dir', args.out_dir)
    preset = PRESETS.get(args.preset, {})
    args.configs = {**preset.get('configs', {}), **{Path(c).stem: c for c in args.configs}}
    args.options = preset.get('options', {})
    args.size = tuple(args.size or preset.get('size', (512, 512)))
    args.runs = args.runs or preset.get('runs', 20)
    return args


def models(args):
    """Yield the name, config, model, published result and forms of each model."""
    for name, config in args.configs.items():
        options = args.options.get(name)
        cfg = read_config(config, options)
        subject = Subject(build_model(cfg), cfg.default_scope)
        yield name, config, subject, '' if options else published_result(config), args.forms
    for entry in args.hub:
        folder, _, name = entry.rpartition(':')
        model = torch.hub.load(folder, name, source='local', pretrained=False)
        yield f'{name} of {Path(folder).resolve().name}', entry, Subject(model), '', ['eager']


def prepare(args):
    """Return two lists: results without times, one a model and form, and functions to time."""
    images = torch.rand(args.batch_size, 3, *args.size, device=args.device)
    results, functions = [], []
    for name, config, subject, result, forms in models(args):
        subject = subject.eval().to(args.device)
        facts = dict(
            model=name,
            config=config,
            batch_size=args.batch_size,
            parameters=sum(p.numel() for p in subject.parameters()),
            macs=count_macs(subject, images[:1]),
            published=result,
        )
        for form in forms:
            functions.append(FORMS[form](copy.deepcopy(subject), images, args.dtype))
            results.append(dict(facts, form=f'{form}, {args.dtype}'))
    return results, functions


@torch.no_grad()
def main():
    args = parse_args()
    logging.disable(logging.INFO)  # mmengine lists the initialisation of each parameter
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.backends.cudnn.benchmark = True  # sizes do not change
    torch.set_flush_denormal(True)  # random weights may give denormals, trained weights do not
    results, functions = prepare(args)
    peak = convolution_peak(DTYPES[args.dtype], args.device)
    # of the first run, which includes what is stored for later runs, such as reordered weights
    growth = [peak_memory(function, args.device) for function in functions]
    times = interleave(functions, args.runs, args.warmup, args.device)
    for result, grown, seconds in zip(results, growth, times):
        latency = statistics.median(seconds)
        weights = result['parameters'] * DTYPES[args.dtype].itemsize
        result.update(
            seconds=seconds,
            mean=statistics.mean(seconds),
            memory=None if grown is None else weights + grown,
            share_of_peak=result['macs'] * args.batch_size / latency / peak,
        )
    title = (
        f'{args.batch_size} x 3 x {args.size[0]} x {args.size[1]}, {args.runs} runs in turn, '
        f'{describe_machine(args.device)}; its convolution peak is {peak / 1e9:.0f} GMACs a second'
    )
    print(f'\n{title}\n\n{markdown_table(results)}')
    if args.out_dir is not None:
        settings = {key: str(value) for key, value in vars(args).items()}
        write_results(args.out_dir, title, results, settings)
        print(f'\ntable.md, results.json and latency.png are in {args.out_dir}')


if __name__ == '__main__':
    main()
