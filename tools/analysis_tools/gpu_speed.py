"""Measure the speed of HarDNets and of comparable networks on this machine's GPU.

Each network is measured in its inference form (hardnet_mm.deploy.to_deploy) in float16, up to
logits, raw outputs or label map, as one CUDA graph. HarDNets are also measured with cuDNN's
convolutions and concatenations instead of this project's kernels. --tune first measures the block
sizes of these kernels, and how they are launched, and writes the best to blocks.json.
"""

import argparse
import contextlib
import copy
import itertools
import json
import logging
import math
import os
import statistics
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path
from unittest import mock

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hardnet_mm.benchmark.measure import count_macs
from hardnet_mm.benchmark.models import Subject
from hardnet_mm.deploy import to_deploy
from hardnet_mm.kernels.triton import launches, tuning
from hardnet_mm.kernels.triton.linked_conv import Blocks, LinkedConv
from hardnet_mm.kernels.triton.padded_maps import PaddedMaps
from hardnet_mm.utils.configs import build_model, read_config
from hardnet_mm.utils.files import written_whole

OWN = 'hardnet_mm::'
MMSEG = 'mmseg::'
# Name, config, images, height and width.
NETWORKS = {
    'HarDNet68': (OWN + 'hardnet68_imagenet.py', 1, 1024, 1024),
    'ResNet-50': ('mmpretrain::resnet/resnet50_8xb32_in1k.py', 1, 1024, 1024),
    'HarDNet85': (OWN + 'hardnet85_imagenet.py', 1, 1024, 1024),
    'ResNet-101': ('mmpretrain::resnet/resnet101_8xb32_in1k.py', 1, 1024, 1024),
    'HarDNet68, 256 images': (OWN + 'hardnet68_imagenet.py', 256, 224, 224),
    'ResNet-50, 256 images': ('mmpretrain::resnet/resnet50_8xb32_in1k.py', 256, 224, 224),
    'HarDNet68, 224': (OWN + 'hardnet68_imagenet.py', 1, 224, 224),
    'ResNet-50, 224': ('mmpretrain::resnet/resnet50_8xb32_in1k.py', 1, 224, 224),
    'FC-HarDNet-70': (OWN + 'fchardnet70_cityscapes.py', 1, 1024, 2048),
    'PIDNet-S': (MMSEG + 'pidnet/pidnet-s_2xb6-120k_1024x1024-cityscapes.py', 1, 1024, 2048),
    'DDRNet-23': (
        MMSEG + 'ddrnet/ddrnet_23_in1k-pre_2xb6-120k_cityscapes-1024x1024.py',
        1,
        1024,
        2048,
    ),
    'SSD512-HarDNet68': (OWN + 'ssd512_hardnet68_coco.py', 1, 512, 512),
    'SSD512-HarDNet85': (OWN + 'ssd512_hardnet85_coco.py', 1, 512, 512),
    'CenterNet-HarDNet85': (OWN + 'centernet_hardnet85_coco.py', 1, 512, 512),
    'RTMDet-m': ('mmdet::rtmdet/rtmdet_m_8xb32-300e_coco.py', 1, 512, 512),
    'YOLOX-s': ('mmdet::yolox/yolox_s_8xb8-300e_coco.py', 1, 512, 512),
    'RetinaNet-R50': ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', 1, 512, 512),
}
TUNED = [name for name, network in NETWORKS.items() if network[0].startswith(OWN)]
PROFILED = 'HarDNet68'
DEPENDENT = 'to_deploy, dependent launches'
TRAINED = ('HarDNet68, 256 images', 'ResNet-50, 256 images')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--out-dir', type=Path, required=True, help='new folder for speed.md and speed.json')
    add('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS))
    add('--tune', action='store_true', help='measure block sizes first, which takes minutes')
    add('--tune-seconds', type=float, default=200, help='measure no further blocks after these')
    add('--compile', nargs='*', choices=NETWORKS, default=[], help="by PyTorch's inductor, too")
    add('--seconds', type=float, default=200, help='begin no further network after these')
    add('--variants', nargs=3, help=argparse.SUPPRESS)  # of a process that compiles
    args = parser.parse_args()
    if not args.variants and args.out_dir.exists():
        parser.error(f'--out-dir {args.out_dir} is there already: choose a new folder')
    return args


class Report:
    """Tables that are written to the disk after each row.

    Args:
        folder (Path): A new folder.
    """

    def __init__(self, folder):
        folder.mkdir(parents=True)
        self.folder = folder
        self.begin = time.monotonic()
        self.results = dict(machine=machine(), networks=[], training=[], blocks=[])

    @property
    def seconds(self):
        """Seconds since the beginning."""
        return time.monotonic() - self.begin

    def say(self, text):
        """Print, with the seconds since the beginning."""
        print(f'[{self.seconds:4.0f} s] {text}', flush=True)

    def add(self, table, **row):
        """Add a row to a table."""
        self.results[table].append(row)
        self.say(' '.join(f'{key} {value}' for key, value in row.items()))
        self.write()

    def write(self):
        """Write both files."""
        with written_whole(self.folder / 'speed.json') as path:
            path.write_text(json.dumps(self.results, indent=1))
        with written_whole(self.folder / 'speed.md') as path:
            path.write_text(self._text())

    def _text(self):
        lines = [f'- {key}: {value}' for key, value in self.results['machine'].items()]
        for title in ('networks', 'training'):
            rows = self.results[title]
            if rows:
                names = list(rows[0])
                lines += ['', '| ' + ' | '.join(names) + ' |', '|---' * len(names) + '|']
                lines += [
                    '| ' + ' | '.join(str(row[name]) for name in names) + ' |' for row in rows
                ]
        return '\n'.join(lines) + '\n'


def machine():
    """Return the card, the versions, and two measured rates that bound the speed."""
    command = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    driver = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    import triton

    a = torch.randn(8192, 8192, device='cuda', dtype=torch.float16)
    products = time_of(lambda: a @ a, 10)
    source = torch.randn(2**30, device='cuda', dtype=torch.float16)
    target = torch.empty_like(source)
    copies = time_of(lambda: target.copy_(source), 10)
    return {
        'GPU': torch.cuda.get_device_name(),
        'driver': driver,
        'PyTorch': torch.__version__,
        'Triton': triton.__version__,
        'cuDNN': torch.backends.cudnn.version(),
        'matrix product, TFLOP/s': round(2 * 8192**3 / products / 1e9),
        'copy, read and written, GB/s': round(2 * source.nbytes / copies / 1e6),
    }


def time_of(function, runs=40):
    """Return the median time of consecutive runs in milliseconds, by CUDA events."""
    for _ in range(5):
        function()
    events = [torch.cuda.Event(enable_timing=True) for _ in range(runs + 1)]
    torch.cuda.synchronize()
    events[0].record()
    for event in events[1:]:
        function()
        event.record()
    torch.cuda.synchronize()
    return statistics.median(a.elapsed_time(b) for a, b in itertools.pairwise(events))


@torch.no_grad()
def graphed(function):
    """Return a function that runs another as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            function()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        function()
    return graph.replay


def build(name):
    """Return a network on the GPU, with norm statistics from random images."""
    cfg = read_config(NETWORKS[name][0], None)
    subject = Subject(build_model(cfg), cfg.default_scope).cuda()
    norms = [module for module in subject.modules() if isinstance(module, _BatchNorm)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()  # and nothing else: heads may train otherwise
    with torch.no_grad():
        for _ in range(2):
            subject(torch.randn(2, 3, 512, 512, device='cuda'))  # SSD512 takes no less
    return subject.eval()


def deployed(subject, linked=True):
    """Return the inference form, with or without this project's GPU kernels."""
    subject = copy.deepcopy(subject)
    subject.model = to_deploy(subject.model, torch.float16, cuda_graphs=False)
    for module in subject.modules():
        if hasattr(module, 'linkable'):
            module.linkable = module.linkable and linked
    return subject


def traffic(subject, images):
    """Return the bytes of float16 that convolutions read and write, their weights included."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        total += 2 * (inputs[0].numel() + output.numel() + module.weight.numel())

    hooks = [
        m.register_forward_hook(count) for m in subject.modules() if type(m).__name__ == 'Conv2d'
    ]
    with torch.no_grad():
        subject(images)
    for hook in hooks:
        hook.remove()
    return total


def compile_variants(path, index, count):
    """Compile this process's share of the kernel variants in a file."""
    for *settings, values, dependent in json.loads(Path(path).read_text())[index::count]:
        try:
            with launches.made(dependent):
                compile_variant(*settings, Blocks(*values))
        except Exception as error:  # of Triton's compiler, of many kinds; the others are compiled
            print(f'{values} cannot be compiled: {error!r}', flush=True)
    torch.cuda.synchronize()


def compile_variant(kernel, stride, act, padded, blocks):
    """Compile a variant of the kernel, and run it on tiny maps."""
    weight = torch.zeros(32, 64, kernel, kernel, dtype=torch.float16, device='cuda')
    conv = LinkedConv(weight, None, act, [(0, 64)], stride)
    maps = PaddedMaps((1, 8, 8), 1, 96, weight)
    maps.buffer.zero_()
    geometry = PaddedMaps((1, 8 // stride, 8 // stride), 1, 96, weight)
    out = geometry.buffer[:, 64:] if padded else weight.new_empty(64, 32)
    conv(maps, out, padded, blocks, geometry)


def compile_all(report, variants):
    """Compile kernel variants, a share in each of as many processes as there are cores."""
    path = report.folder / 'variants.json'
    path.write_text(json.dumps(sorted(variants)))
    count = os.cpu_count()
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, '--out-dir', '-', '--variants', path, str(index), str(count)]
        )
        for index in range(count)
    ]
    for process in processes:
        process.wait()
    report.say(f'{len(variants)} variants of the kernel compiled')


def variant(arguments, blocks, dependent=False):
    """Return what a compiled kernel depends on."""
    conv, _, _, padded, _ = arguments
    blocks = blocks._replace(splits=min(blocks.splits, 2))
    return conv.kernel, conv.stride, conv.act, padded, blocks, dependent


def linked_convolutions(subjects):
    """Return the arguments of the networks' linked convolutions, of each kind and size once."""
    noted = {}
    for name, subject in subjects.items():
        _, images, height, width = NETWORKS[name]
        # none is computed here, where they would be compiled one after the other
        skipped = mock.patch.object(LinkedConv, '__call__', lambda *_: None)
        with tuning.noted() as found, torch.no_grad(), skipped:
            deployed(subject)(torch.rand(images, 3, height, width, device='cuda'))
        noted.update({key: value for key, value in found.items() if key not in noted})
    for _, maps, *_ in noted.values():
        maps.buffer.normal_()  # a GPU computes slower on random numbers than on zeros
    return noted


def compile_chosen(report, noted, dependent):
    """Compile the kernels that the networks will use."""
    chosen = {variant(each, tuning.blocks_for(*each), dependent) for each in noted.values()}
    compile_all(report, chosen)


def tune(report, noted, seconds):
    """Measure the blocks of convolutions, use the best, and write and return them."""
    variants = {
        variant(arguments, blocks)
        for arguments in noted.values()
        for blocks in tuning.candidates(arguments[0], (arguments[4] or arguments[1]).rows)
    }
    compile_all(report, variants)
    chosen = {}
    for key, arguments in noted.items():
        if report.seconds > seconds:
            report.say(f'{len(chosen)} of {len(noted)} convolutions measured in {seconds:.0f} s')
            break
        with launches.made(False):
            measured = tuning.measure(*arguments)
        if measured:
            chosen[key] = measured[0][1]
            report.results['blocks'].append([*key, *measured[0]])
    tuning.choose(chosen)
    write_blocks(report, chosen, False)
    report.say('blocks measured')
    return chosen


def write_blocks(report, chosen, dependent):
    """Write a table as it stands in hardnet_mm/kernels/triton."""
    facts = {key: report.results['machine'][key] for key in ('GPU', 'PyTorch', 'Triton')}
    entries = [json.dumps([*key, list(blocks)]) for key, blocks in sorted(chosen.items())]
    head = f'"measured": {json.dumps(facts)}, "dependent_launches": {json.dumps(dependent)}'
    with written_whole(report.folder / 'blocks.json') as path:
        path.write_text(f'{{{head}, "blocks": [\n' + ',\n'.join(entries) + '\n]}\n')


def dependent_launches_are_faster(report):
    """Return whether the networks together take less time with dependent launches."""
    times = {}
    for row in report.results['networks']:
        times.setdefault(row['network'], {})[row['form']] = row['ms']
    pairs = [
        (forms['to_deploy'], forms[DEPENDENT]) for forms in times.values() if DEPENDENT in forms
    ]
    return bool(pairs) and math.prod(after / before for before, after in pairs) < 1


def profile(report, function):
    """Write start and duration of each kernel of a run, in microseconds."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as recorded:
        function()
        torch.cuda.synchronize()
    kernels = sorted(
        (event.time_range.start, event.time_range.elapsed_us(), event.name)
        for event in recorded.events()
        if event.device_type == torch.autograd.DeviceType.CUDA
    )
    begin = kernels[0][0]
    report.results['kernels'] = [
        [round(start - begin, 1), round(length, 1), name[:60]] for start, length, name in kernels
    ]
    span = sum(kernels[-1][:2]) - begin
    report.say(f'{len(kernels)} kernels in {span:.0f} us, {sum(k[1] for k in kernels):.0f} busy')
    report.write()


def measure(report, name, subject, compiled, tuned):
    """Time a network in all forms."""
    _, number, height, width = NETWORKS[name]
    images = torch.rand(number, 3, height, width, device='cuda')
    rates = report.results['machine']
    macs = count_macs(subject, images[:1]) * number
    floor = max(
        2 * macs / rates['matrix product, TFLOP/s'] / 1e9,
        traffic(subject, images[:1]) * number / rates['copy, read and written, GB/s'] / 1e6,
    )
    forms = {'to_deploy': deployed(subject)}
    if any(getattr(module, 'linkable', False) for module in forms['to_deploy'].modules()):
        if tuned:
            forms[DEPENDENT] = forms['to_deploy']
        forms['cuDNN and concatenations'] = deployed(subject, linked=False)
    if compiled:
        forms['inductor'] = torch.compile(deployed(subject, linked=False))
    for form, function in forms.items():
        made = launches.made(True) if form == DEPENDENT else contextlib.nullcontext()
        with torch.no_grad(), made:
            function(images)
            graph = graphed(partial(function, images))
        milliseconds = time_of(graph, 30)
        report.add(
            'networks',
            network=name,
            input=f'{number} x 3 x {height} x {width}',
            form=form,
            **{'GMACs': round(macs / 1e9, 1), 'ms': round(milliseconds, 3)},
            **{'images/s': round(1000 * number / milliseconds)},
            **{'share of the bound, %': round(100 * floor / milliseconds)},
        )
        if name == PROFILED and form == 'to_deploy':
            attempt(report, profile, report, graph)


def train(report, name, **backbone):
    """Measure time and memory of a training step in float16 and channels-last."""
    cfg = read_config(NETWORKS[name][0], None)
    cfg.model.backbone.update(backbone)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    model = Subject(build_model(cfg), cfg.default_scope).cuda().train()
    model.to(memory_format=torch.channels_last)
    _, number, height, width = NETWORKS[name]
    images = torch.rand(number, 3, height, width, device='cuda')
    images = images.to(memory_format=torch.channels_last)
    labels = torch.randint(0, 1000, (number,), device='cuda')
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler('cuda')

    def step():
        optimizer.zero_grad()
        with torch.autocast('cuda', torch.float16):
            loss = nn.functional.cross_entropy(model(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    milliseconds = time_of(step, 8)
    memory = torch.cuda.max_memory_allocated() - before
    report.add(
        'training',
        network=name,
        way=', '.join(backbone) or 'plain',
        ms=round(milliseconds, 1),
        **{'images/s': round(1000 * number / milliseconds), 'GiB': round(memory / 2**30, 2)},
    )


def measure_all(report, subjects, args):
    """Time the networks, after their kernels were tuned, if asked for, and compiled."""
    ours = {name: subject for name, subject in subjects.items() if name in TUNED}
    noted = attempt(report, linked_convolutions, ours) or {}
    tuned = attempt(report, tune, report, noted, args.tune_seconds) if args.tune else None
    # those of launches that are not dependent are among what was tuned
    attempt(report, compile_chosen, report, noted, bool(tuned))
    noted.clear()  # gigabytes of maps
    for name in list(subjects):
        if report.seconds < args.seconds:
            compiled = name in args.compile
            attempt(report, measure, report, name, subjects.pop(name), compiled, bool(tuned))
            torch.cuda.empty_cache()
    if tuned:
        write_blocks(report, tuned, dependent_launches_are_faster(report))


def attempt(report, function, *args, **kwargs):
    """Call a function. An error is reported, and the run continues."""
    try:
        return function(*args, **kwargs)
    except Exception:
        traceback.print_exc()
        report.say(f'FAILED: {function.__name__} {args[1:2]}')


def main():
    args = parse_args()
    if not torch.cuda.is_available():
        sys.exit('gpu_speed.py: error: PyTorch sees no GPU here')
    logging.disable(logging.INFO)
    if args.variants:
        path, index, count = args.variants
        compile_variants(path, int(index), int(count))
        return
    torch.backends.cudnn.benchmark = True
    report = Report(args.out_dir)
    report.say(report.results['machine'])
    subjects = {}
    for name in args.networks:
        subject = attempt(report, build, name)
        if subject is not None:
            subjects[name] = subject
    report.say('built')
    measure_all(report, subjects, args)
    ways = [(name, {}) for name in TRAINED]
    ways += [(TRAINED[0], {way: True}) for way in ('memory_efficient', 'with_cp')]
    for name, way in ways:
        if report.seconds < args.seconds and name in args.networks:
            attempt(report, train, report, name, **way)
    report.say('done')


if __name__ == '__main__':
    main()
