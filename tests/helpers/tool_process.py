"""Runs scripts in processes of their own, forked from one that has imported the toolboxes.

Importing PyTorch and the toolboxes takes longer than most of what the tests ask of a script.
"""

import functools
import multiprocessing
import os
import runpy
import signal
import socket
import sys
import time

PRELOADED = ['hardnet_mm.cls', 'hardnet_mm.det', 'hardnet_mm.seg', 'mmpretrain.apis']


@functools.cache
def _context():
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload(PRELOADED)
    return context


def run(script, arguments, environment, folder, output, timeout):
    """Run a Python script, its output going to a file, and return its exit status.

    Args:
        script (str): Path of the script.
        arguments (list[str]): Of its command line.
        environment (dict[str, str]): Its environment variables.
        folder (Path, optional): The folder it runs in.
        output (Path): Where its standard output and standard error go.
        timeout (float): Seconds after which it is killed.

    Raises:
        TimeoutError: If it takes longer.
    """
    given = (script, arguments, environment, folder, output)
    process = start(*given)
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f'{script} took more than {timeout} s: {output.read_text()[-5000:]}')
    return process.exitcode


def start(script, arguments, environment, folder, output):
    """Start a Python script as :func:`run` does, and return its process."""
    process = _context().Process(target=_run, args=(script, arguments, environment, folder, output))
    process.start()
    return process


def free_port():
    """Return the number of a port of this machine that nothing listens to."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def run_ranks(count, script, arguments, environment, output, timeout):
    """Run a script in several processes that find each other, as torchrun would start them.

    Args:
        count (int): How many.
        script (str): Path of the script.
        arguments (list[str]): Of its command line.
        environment (dict[str, str]): Its environment variables, but for those of torchrun.
        output (Path): A folder, for a file of what each process says.
        timeout (float): Seconds after which all are killed.

    Raises:
        AssertionError: If one fails, or takes longer.
    """
    shared = dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()), WORLD_SIZE=str(count))
    files = [output / f'rank{rank}.txt' for rank in range(count)]
    processes = [
        start(
            script,
            arguments,
            {**environment, **shared, 'RANK': str(rank), 'LOCAL_RANK': str(rank)},
            None,
            file,
        )
        for rank, file in enumerate(files)
    ]
    end = time.monotonic() + timeout
    while any(process.exitcode is None for process in processes) and time.monotonic() < end:
        if any(process.exitcode for process in processes):
            break
        processes[0].join(0.1)
    statuses = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert statuses == [0] * count, (statuses, [file.read_text()[-3000:] for file in files])


def _run(script, arguments, environment, folder, output):
    # as in a person's shell: one that starts tests in the background lets them ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)
    os.environ.clear()
    os.environ.update(environment)
    if folder is not None:
        os.chdir(folder)
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)  # as for any script
    runpy.run_path(script, run_name='__main__')
