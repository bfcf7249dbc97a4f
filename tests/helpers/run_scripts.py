"""Run scripts in forks of a process that has imported what they import, but not hardnet_mm.

``python run_scripts.py`` reads a JSON list of ``[script, arguments]`` and prints one of ``[exit
status, output]``. It imports nothing of the tests, so that it tells what the environment gives.
"""

import contextlib
import json
import multiprocessing
import os
import runpy
import sys
import tempfile

PRELOADED = ('mmcv.ops', 'mmdet.apis', 'mmseg.apis', 'mmpretrain.apis')
LIMIT = 300  # seconds


def work(script, arguments, output):
    """Run a script, its output going to a file."""
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.stdout, sys.stderr = open(1, 'w', closefd=False), open(2, 'w', closefd=False)
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(script)
    runpy.run_path(script, run_name='__main__')


def main():
    jobs = json.load(sys.stdin)
    with contextlib.redirect_stdout(sys.stderr):  # some print as they are imported
        for name in PRELOADED:
            __import__(name)
    assert 'hardnet_mm' not in sys.modules
    results, context = [], multiprocessing.get_context('fork')
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # some write where they run
        output = os.path.join(folder, 'output.txt')
        for script, arguments in jobs:
            process = context.Process(target=work, args=(script, arguments, output))
            process.start()
            process.join(LIMIT)
            process.kill()
            process.join()
            with open(output, encoding='utf-8', errors='replace') as text:
                results.append([process.exitcode, text.read()])
    print(json.dumps(results))


if __name__ == '__main__':
    main()
