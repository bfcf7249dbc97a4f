"""Convert a checkpoint of an original HarDNet program to this plugin's keys, or back."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import check_file, check_new_file, make_parser, run, user_path  # noqa: E402


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('src', type=user_path, help='checkpoint to read')
    parser.add_argument('dst', type=user_path, nargs='?', help='checkpoint to write')
    parser.add_argument(
        '--reverse', action='store_true', help="from this plugin's keys to the original's"
    )
    parser.add_argument('--dry-run', action='store_true', help='print the keys, write nothing')
    parser.add_argument('--overwrite', action='store_true', help='replace dst if it is there')
    args = parser.parse_args()
    if args.dst is None and not args.dry_run:
        parser.error('dst is missing: name the file to write, or pass --dry-run')
    check_file(parser, 'checkpoint', args.src)
    if args.dst is not None:
        check_new_file(parser, 'dst', args.dst, args.overwrite)
        args.dst = Path(args.dst)
    return args


def as_saved(state_dict):
    """Wrap a state dict in the form in which its original program saves it."""
    if 'hm.0.weight' in state_dict:  # CenterNet
        return dict(epoch=0, state_dict=state_dict)
    if 'finalConv.weight' in state_dict:  # FC-HarDNet, from a DataParallel model
        return dict(model_state={f'module.{key}': value for key, value in state_dict.items()})
    return state_dict


def main(args):
    import torch
    from mmengine.runner import CheckpointLoader

    from hardnet_mm.checkpoints import convert_official, to_official
    from hardnet_mm.checkpoints.files import check_checkpoint, check_hash, load_weights
    from hardnet_mm.checkpoints.published import WEIGHTS
    from hardnet_mm.utils.files import written_whole

    check_checkpoint(args.src)
    if args.reverse:
        converted = to_official(CheckpointLoader.load_checkpoint(args.src, 'cpu', logger=None))
    else:
        if any(weights.file == Path(args.src).name for weights in WEIGHTS.values()):
            check_hash(args.src)
        converted = convert_official(load_weights(args.src))
    if args.dry_run:
        for key, value in converted.items():
            print(key, tuple(value.shape))
        return
    saved = as_saved(converted) if args.reverse else dict(state_dict=converted, meta={})
    with written_whole(args.dst) as new:
        torch.save(saved, new)
    print(f'{len(converted)} tensors, {args.dst}')


if __name__ == '__main__':
    run(parse_args, main)
