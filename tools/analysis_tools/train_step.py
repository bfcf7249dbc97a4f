"""Time a training step (forward, backward, SGD) and its peak memory, in the ways there are.

Each way runs in a process of its own, whose peak memory the system tells; they take turns, so that
noise hits all alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import torch

from hardnet_mm import create_model
from hardnet_mm.benchmark.measure import peak_memory
from hardnet_mm.benchmark.report import machine

WAYS = {
    'plain': dict(),
    'channels-last': dict(),
    'memory_efficient': dict(memory_efficient=True),
    'memory_efficient, channels-last': dict(memory_efficient=True),
    'with_cp, channels-last': dict(with_cp=True),
}


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('--arch', default='hardnet68')
    add('--size', type=int, default=224)
    add('--batch-size', type=int, default=16)
    add('--runs', type=int, default=3, help='steps of each process, after one to warm up')
    add('--repeats', type=int, default=3, help='processes of each way')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--way', choices=WAYS, help='run this one here, and print its figures as JSON')
    return parser.parse_args()


def measure(args):
    """Return the seconds of each step, and the most bytes that a step adds to the weights."""
    torch.manual_seed(0)
    layout = torch.channels_last if 'channels-last' in args.way else torch.contiguous_format
    model = create_model(args.arch, **WAYS[args.way]).to(args.device, memory_format=layout)
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

    step()
    seconds = []
    for _ in range(args.runs):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return dict(seconds=seconds, memory=peak_memory(step, args.device))


def main():
    args = parse_args()
    if args.way:
        print(json.dumps(measure(args)))
        return
    results = {way: dict(seconds=[], memory=[]) for way in WAYS}
    for _ in range(args.repeats):
        for way, result in results.items():
            command = [sys.executable, *sys.argv, '--way', way]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(output.splitlines()[-1])
            result['seconds'] += found['seconds']
            result['memory'].append(found['memory'] or 0)
    print(
        f'{args.arch}, a step of {args.batch_size} x 3 x {args.size} x {args.size}, '
        f'{args.repeats} processes of {args.runs} steps each, {machine(args.device)}\n\n'
        '| way | seconds, median | speed | peak memory, MiB | of plain |\n|---|---|---|---|---|'
    )
    for way, result in results.items():
        seconds, memory = (statistics.median(result[key]) for key in ('seconds', 'memory'))
        plain = {key: statistics.median(values) for key, values in results['plain'].items()}
        print(
            f'| {way} | {seconds:.2f} | {plain["seconds"] / seconds:.2f} | {memory / 2**20:.0f} '
            f'| {memory / plain["memory"]:.2f} |'
        )


if __name__ == '__main__':
    main()
