"""Write hardnet_mm/configs, the reference models' configs in mmengine's pure-Python style."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent))
from command_line import make_parser, run  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / 'hardnet_mm/configs'


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('--check', action='store_true', help='write nothing, fail where it would')
    return parser.parse_args()


def main(args):
    from hardnet_mm.utils.errors import InputError
    from hardnet_mm.utils.files import written_whole
    from hardnet_mm.utils.pure_python import write_all

    files = write_all(sorted((ROOT / 'configs').glob('*.py')))
    there = {str(path.relative_to(FOLDER)): path.read_text() for path in FOLDER.rglob('*.py')}
    there = {name: text for name, text in there.items() if not name.endswith('__init__.py')}
    stale = sorted(name for name in {*files, *there} if files.get(name) != there.get(name))
    if args.check:
        if stale:
            raise InputError(
                f'{", ".join(stale)} in {FOLDER} are not what this tool writes: run it'
            )
        return
    for name in stale:
        if name not in files:
            (FOLDER / name).unlink()
            continue
        with written_whole(FOLDER / name) as new:
            new.write_text(files[name], encoding='utf-8')
    print(f'{FOLDER}: {len(files)} files, {len(stale)} changed')


if __name__ == '__main__':
    run(parse_args, main)
