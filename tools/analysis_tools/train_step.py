"""Measure time and memory of a training step (forward, backward, SGD), in several ways.

Each way runs in a process of its own, whose memory is that of the step. The processes take turns,
so that a disturbance affects all of them.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from hardnet_mm import create_model
from hardnet_mm.benchmark.measure import peak_memory
from hardnet_mm.benchmark.report import describe_machine

WAYS = {
    'plain': dict(),
    'channels-last': dict(),
    'channels-last, memory_efficient': dict(memory_efficient=True),
    'channels-last, with_cp': dict(with_cp=True),
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--arch', default='hardnet68')
    add('--size', type=int, default=224)
    add('--batch-size', type=int, default=16)
    add('--turns', type=int, default=3)
    add('--runs', type=int, default=3, help='timed steps a turn, after an untimed one')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add(
        '--hub',
        metavar='FOLDER',
        help='a clone with a hubconf.py, whose model of the name --arch is measured first',
    )
    add('--way', choices=[*WAYS, 'hub'], help='used by the tool itself: the way of this process')
    args = parser.parse_args()
    if args.hub and not Path(args.hub, 'hubconf.py').is_file():
        parser.error(f'--hub takes a folder with a hubconf.py in it, got {args.hub!r}')
    return args


def work(args):
    """Print the memory of the first steps. Then print the seconds of a step for each input line."""
    torch.manual_seed(0)
    layout = torch.channels_last if 'channels-last' in args.way else torch.contiguous_format
    if args.way == 'hub':
        model = torch.hub.load(args.hub, args.arch, source='local', pretrained=False).train()
    else:
        model = create_model(args.arch, **WAYS[args.way])
    model.to(args.device, memory_format=layout)
    images = torch.rand(args.batch_size, 3, args.size, args.size, device=args.device)
    images = images.to(memory_format=layout)
    labels = torch.randint(0, 1000, (args.batch_size,), device=args.device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        if args.device.startswith('cuda'):
            torch.cuda.synchronize()

    # the first steps, so that memory held from step to step counts as well
    memory = peak_memory(lambda: (step(), step()), args.device)
    print('nan' if memory is None else memory, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        step()
        print(time.perf_counter() - start, flush=True)


class Way:
    """A process that takes training steps on request.

    Args:
        name (str): A name of :data:`WAYS`, or 'hub'.

    Attributes:
        memory (float): Bytes that the first steps added, at their peak.
        seconds (list[float]): Seconds of the timed steps.
    """

    def __init__(self, name):
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, *sys.argv, '--way', name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.memory = self._read()
        self.seconds = []

    def take_turn(self, runs):
        """Take ``runs`` timed steps after an untimed one."""
        self.process.stdin.write('\n' * (runs + 1))
        self.process.stdin.flush()
        self.seconds += [self._read() for _ in range(runs + 1)][1:]

    def _read(self):
        for line in self.process.stdout:  # other programs may print messages in between
            try:
                return float(line)
            except ValueError:
                pass
        raise SystemExit(f'{self.name}: its process ended')


def main():
    args = parse_args()
    if args.way:
        work(args)
        return
    ways = [Way(name) for name in [*(['hub'] if args.hub else []), *WAYS]]
    for _ in range(args.turns):
        for way in ways:
            way.take_turn(args.runs)
    first = ways[0]
    print(
        f'{args.arch}, a step of {args.batch_size} x 3 x {args.size} x {args.size}, {args.turns} '
        f'turns of {args.runs} each, {describe_machine(args.device)}; memory is what training adds '
        f'to the weights; speed is the median over turns\n\n'
        f'| way | seconds, median | speed | memory, MiB | of {first.name} |\n|---|---|---|---|---|'
    )
    for way in ways:
        speed = statistics.median(a / b for a, b in zip(first.seconds, way.seconds))
        print(
            f'| {way.name} | {statistics.median(way.seconds):.2f} | {speed:.2f} '
            f'| {way.memory / 2**20:.0f} | {way.memory / first.memory:.2f} |'
        )


if __name__ == '__main__':
    main()
