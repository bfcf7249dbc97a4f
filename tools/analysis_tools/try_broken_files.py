"""Try hostile and broken files with the tools, each in a process of its own, and tell what comes.

A fault is a file at which a tool hung, crashed, took too much memory, ran code, or passed silently.
With --write, the tables in docs/broken_files.md are written anew, if there is no fault and every
format can be tried.
"""

import queue
import re
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / 'tools'))
from command_line import make_parser, positive, run  # noqa: E402

PAGE = ROOT / 'docs/broken_files.md'
BEGIN, END = '<!-- written by try_broken_files.py -->', '<!-- to here -->'


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--only', help='a pattern: cases whose "Heading: name" has it')
    parser.add_argument('--workers', type=positive, default=2, help='tried at once; default: 2')
    parser.add_argument('--write', action='store_true', help='write the table in docs/')
    args = parser.parse_args()
    if args.only and args.write:
        parser.error('--write is of all cases')
    return args


def table(rows):
    """Return the Markdown of rows of a heading, a case and what came of it."""
    lines, last = [], None
    for heading, case, words, _ in rows:
        if heading != last:
            lines += ['', f'### {heading}', '', '| file; tried with | what came |', '|---|---|']
            last = heading
        words = words if len(words) < 200 else f'{words[:197]}...'
        words = words.replace('|', '\\|').replace('<', '&lt;').replace('`', "'")
        lines.append(f'| {case.name} | {ENDS[case.status]}{words} |')
    return '\n'.join(lines[1:])


ENDS = {0: 'goes on: ', 1: 'skipped: ', 2: 'refused: '}


def main(args):
    from analysis_tools.broken_files import all_cases, running
    from marked_page import write_between

    chosen = [
        (heading, number, case)
        for heading, listed in all_cases().items()
        for number, case in enumerate(listed)
        if not args.only or re.search(args.only, f'{heading}: {case.name}')
    ]
    for *_, case in chosen:
        if case.missing_packages:
            print(f'left out: {case.name}: {case.missing_packages} not installed')
    complete = not any(case.missing_packages for *_, case in chosen)
    chosen = [entry for entry in chosen if not entry[-1].missing_packages]
    with tempfile.TemporaryDirectory() as folder, running.served(folder) as server:
        shops = running.prepare(Path(folder), server, args.workers)
        free = queue.SimpleQueue()
        for shop in shops:
            free.put(shop)

        def one(entry):
            heading, number, case = entry
            shop = free.get()
            outcome = running.run(heading, number, shop)
            fault, words = outcome.fault(case), outcome.words(case, shop.folder)
            free.put(shop)
            print(f'{"FAULT" if fault else "as it must be"}: {case.name}: {words}', flush=True)
            if fault:
                print(f'{fault}\n{outcome.output[-3000:]}', flush=True)
            return heading, case, words, fault

        with ThreadPoolExecutor(args.workers) as pool:
            rows = list(pool.map(one, chosen))
    faults = sum(row[-1] is not None for row in rows)
    print(f'{len(rows)} files tried, {faults} faults')
    if args.write and complete and not faults:
        write_between(PAGE, BEGIN, END, table(rows))
    sys.exit(int(faults > 0))


if __name__ == '__main__':
    run(parse_args, main)
