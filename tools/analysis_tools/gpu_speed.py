"""Measure the speed of HarDNets and of comparable networks on this machine's GPU.

Each network is measured in its inference form (hardnet_mm.deploy.to_deploy) in float16, up to
logits, raw outputs or label map, as one CUDA graph. HarDNets are also measured with cuDNN's
convolutions and concatenations instead of this project's kernels.
"""

import argparse
import copy
import itertools
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import traceback
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from hardnet_mm.benchmark.measure import count_macs
from hardnet_mm.benchmark.models import Subject
from hardnet_mm.deploy import to_deploy
from hardnet_mm.kernels.triton import tuning
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
TRAINED = ('HarDNet68, 256 images', 'ResNet-50, 256 images')


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--out-dir', type=Path, required=True, help='new folder for speed.md and speed.json')
    add('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS))
    add('--tune', action='store_true', help='measure blocks of work first, which takes a minute')
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
        self.results = dict(machine=machine(), networks=[], training=[])

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
    """Compile this process's share of the kernel variants in a file, on tiny maps."""
    for kernel, stride, act, padded, values in json.loads(Path(path).read_text())[index::count]:
        blocks = Blocks(*values)
        weight = torch.zeros(32, 64, kernel, kernel, dtype=torch.float16, device='cuda')
        conv = LinkedConv(weight, None, act, [(0, 64)], stride)
        maps = PaddedMaps((1, 8, 8), 1, 96, weight)
        maps.buffer.zero_()
        geometry = PaddedMaps((1, 8 // stride, 8 // stride), 1, 96, weight)
        out = geometry.buffer[:, 64:] if padded else weight.new_empty(64, 32)
        conv(maps, out, padded, blocks, geometry)
    torch.cuda.synchronize()


def tune(report, subjects):
    """Measure block sizes for all convolutions of some networks, use the best, and write them."""
    noted = {}
    for name, subject in subjects.items():
        _, images, height, width = NETWORKS[name]
        with tuning.noted() as found, torch.no_grad():
            deployed(subject)(torch.rand(images, 3, height, width, device='cuda'))
        noted.update({key: value for key, value in found.items() if key not in noted})
    variants = set()
    for conv, maps, _, padded, geometry in noted.values():
        for blocks in tuning.candidates(conv, (geometry or maps).rows):
            splits = min(blocks.splits, 2)
            variants.add(
                (conv.kernel, conv.stride, conv.act, padded, blocks._replace(splits=splits))
            )
    path = report.folder / 'variants.json'
    path.write_text(json.dumps(sorted(variants)))
    report.say(f'{len(noted)} convolutions, {len(variants)} variants of the kernel')
    processes = [
        subprocess.Popen(
            [sys.executable, __file__, '--out-dir', '-', '--variants', path, str(index), str(count)]
        )
        for count in [os.cpu_count()]
        for index in range(count)
    ]
    for process in processes:
        process.wait()
    report.say('compiled')
    entries = []
    for key, arguments in noted.items():
        measured = tuning.measure(*arguments)
        if not measured:
            continue
        tuning.choose({key: measured[0][1]})
        *kind, bits = key
        entries.append([*kind[:4], kind[4], bits, list(measured[0][1])])
    facts = {key: report.results['machine'][key] for key in ('GPU', 'PyTorch', 'Triton')}
    with written_whole(report.folder / 'blocks.json') as path:
        lines = ',\n'.join(json.dumps(entry) for entry in entries)
        path.write_text(f'{{"measured": {json.dumps(facts)}, "blocks": [\n{lines}\n]}}\n')
    report.say('blocks measured')


def measure(report, name, subject, compiled):
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
        forms['cuDNN and concatenations'] = deployed(subject, linked=False)
    if compiled:
        forms['inductor'] = torch.compile(deployed(subject, linked=False))
    for form, function in forms.items():
        with torch.no_grad():
            function(images)
            milliseconds = time_of(graphed(partial(function, images)), 30)
        report.add(
            'networks',
            network=name,
            input=f'{number} x 3 x {height} x {width}',
            form=form,
            **{'GMACs': round(macs / 1e9, 1), 'ms': round(milliseconds, 3)},
            **{'images/s': round(1000 * number / milliseconds)},
            **{'share of the bound, %': round(100 * floor / milliseconds)},
        )


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
    if args.tune:
        attempt(report, tune, report, {n: s for n, s in subjects.items() if n in TUNED})
    for name in list(subjects):
        if report.seconds < args.seconds:
            attempt(report, measure, report, name, subjects.pop(name), name in args.compile)
            torch.cuda.empty_cache()
    ways = [(name, {}) for name in TRAINED]
    ways += [(TRAINED[0], {way: True}) for way in ('memory_efficient', 'with_cp')]
    for name, way in ways:
        if report.seconds < args.seconds and name in args.networks:
            attempt(report, train, report, name, **way)
    report.say('done')


if __name__ == '__main__':
    main()
