"""Runs a tool in a separate process, with limits on time and memory."""

import contextlib
import http.server
import multiprocessing
import os
import re
import resource
import runpy
import shutil
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from . import all_cases
from .cases import DETECTOR, ROOT, Workshop

SECONDS = 300
MEMORY = 6 * 2**30  # bytes of address space beyond what a process with the toolboxes has
PRELOADED = ['hardnet_mm.cls', 'hardnet_mm.det', 'hardnet_mm.seg', 'mmpretrain.apis']


@dataclass(frozen=True)
class Outcome:
    """The outcome of a case.

    Attributes:
        status (int): The exit status. Negative: the signal that ended the process. None: timeout.
        output (str): The output of the process.
        ran (bool): Whether code in the file was run.
    """

    status: int
    output: str
    ran: bool

    def fault(self, case):
        """Return a description of the difference from the expected outcome, or None."""
        if self.ran:
            return 'code in the file was run'
        if self.status != case.status:
            return f'exit status {self.status}, not {case.status}'
        if 'Traceback (most recent call last)' in self.output and case.status == 2:
            return 'a traceback'
        if not re.search(case.words, self.output):
            return f'it does not say {case.words!r}'
        return None

    def words(self, case, folder):
        """Return the message of the process in one line."""
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        chosen = [line for line in lines if ': error: ' in line or line.startswith('skipped: ')]
        if case.status == 0 and (found := re.search(case.words, self.output)):
            return found[0]
        line = chosen[-1] if chosen else (lines or [''])[-1]
        line = re.sub(r'^.* - INFO - ', '', line).partition(': error: ')
        line = line[2] or line[0]
        line = line.replace('skipped: ', '').replace(f'{folder}/files/', '')
        return line.replace(f'{folder}/', '').replace(str(folder), 'DATA').replace(str(ROOT), '.')


def run(heading, number, shop):
    """Run a case in a workshop.

    Args:
        heading (str): A key of :func:`~.all_cases`.
        number (int): Index of the case in its list.
        shop (Workshop): A prepared workshop.

    Returns:
        Outcome: The outcome.
    """
    shop.mark.unlink(missing_ok=True)
    output = shop.folder / 'output.txt'
    environment = dict(os.environ, OMP_NUM_THREADS='1', XDG_CACHE_HOME=str(shop.folder / 'cache'))
    status = run_tool(partial(_command, heading, number, shop), environment, output)
    return Outcome(status, output.read_text(errors='replace'), shop.mark.exists())


def run_tool(command, environment, output, seconds=SECONDS):
    """Run a tool, and return its exit status."""
    process = _context().Process(target=_run, args=(command, environment, output))
    process.start()
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def _command(heading, number, shop):
    return all_cases()[heading][number].command(shop)


def _context():
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    return context


def _run(command, environment, output):
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    tool, *arguments = map(str, command())
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    sys.argv = [tool, *arguments]
    sys.path[0] = str(ROOT / 'tools')
    runpy.run_path(str(ROOT / 'tools' / tool), run_name='__main__')


@contextlib.contextmanager
def served(folder):
    """Serve a folder by HTTP on this machine, and yield the address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


def prepare(folder, server, count=1):
    """Create workshops, each with data, a good checkpoint, and a checkpoint of a training.

    Args:
        folder (Path): Parent folder of the workshops.
        server (str): Address under which it is served.
        count (int): Number of workshops, for as many cases at a time. Defaults to 1.

    Returns:
        list[Workshop]: The workshops.
    """
    shops = [Workshop(folder / str(i), f'{server}/{i}') for i in range(count)]
    _fill(shops[0])
    for shop in shops[1:]:
        shutil.copytree(shops[0].folder, shop.folder)
        for path in shop.folder.glob('*.json'):
            path.unlink()
        shop.annotate('good.json')
    return shops


def _fill(shop):
    import torch

    from hardnet_mm.utils.configs import build_model, read_config

    shop.write_data()
    state = build_model(read_config(str(DETECTOR))).state_dict()
    torch.save(dict(state_dict=state, meta={}), shop.good)
    command = shop.train()
    command[3] = shop.resumable.parent
    output = shop.folder / 'output.txt'
    status = run_tool(partial(list, command), dict(os.environ, OMP_NUM_THREADS='1'), output)
    if status:
        raise RuntimeError(output.read_text()[-3000:])
