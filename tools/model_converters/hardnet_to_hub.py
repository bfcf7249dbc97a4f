"""Write a model's weights as safetensors, with a model card for Hugging Face's hub.

For a published name, the facts for the card are known. For your own checkpoint, state them by
options.
"""

import argparse
import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import check_file, expanded_path, make_parser, run, user_path  # noqa: E402

FILES = ('model.safetensors', 'config.json', 'README.md')
OF_OWN = ('name', 'data', 'license', 'split', 'metrics')  # options for the user's own checkpoint
EXTRA = "this needs {}, which is not installed: pip install 'hardnet_mm[hub]'"


def metric(text):
    """Return a name and a number, from ``name=number``."""
    name, equals, value = text.rpartition('=')
    if not (name and equals):
        raise argparse.ArgumentTypeError(f'must be NAME=NUMBER, got {text}')
    try:
        return name, float(value)
    except ValueError:
        raise argparse.ArgumentTypeError(f'must be NAME=NUMBER, got {text}') from None


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument(
        'source', type=user_path, help='a published name, as hardnet68, or a checkpoint'
    )
    parser.add_argument('--out-dir', type=expanded_path, required=True, help='the folder to fill')
    parser.add_argument('--overwrite', action='store_true', help='replace what is there')
    own = parser.add_argument_group('of a checkpoint that is not a published one')
    own.add_argument('--name', help='what it is called; the default is the file without its suffix')
    own.add_argument('--data', help='the data set that it was trained on')
    own.add_argument('--license', help="by SPDX's names, as Apache-2.0")
    own.add_argument('--split', help='what the metrics were measured on')
    own.add_argument(
        '--metrics', nargs='+', type=metric, help='NAME=NUMBER, as mIoU=77.7, in per cent'
    )
    args = parser.parse_args()
    there = [name for name in FILES if (args.out_dir / name).exists()]
    if there and not args.overwrite:
        parser.error(
            f'--out-dir {args.out_dir} holds {", ".join(there)} already: choose another, or pass '
            '--overwrite'
        )
    if args.metrics and not args.split:
        parser.error('--metrics needs --split: what were they measured on?')
    args.is_file = not args.source.startswith('hardnet://') and (
        os.sep in args.source or os.path.splitext(args.source)[1] != ''
    )
    if args.is_file:
        check_file(parser, 'checkpoint', args.source)
    return args


def read(args):
    """Return the card, the state dict and the meta of the source."""
    from hardnet_mm.checkpoints.card import Card
    from hardnet_mm.checkpoints.download import load_original
    from hardnet_mm.checkpoints.published import SCHEME, WEIGHTS, get_weights
    from hardnet_mm.checkpoints.reading import read_checkpoint
    from hardnet_mm.utils.errors import InputError

    if args.is_file:
        files = {weights.file: name for name, weights in reversed(WEIGHTS.items())}
        name = files.get(Path(args.source).name)
        if name is None:
            return read_own(args)
    else:
        name = args.source.removeprefix(SCHEME)
    weights = get_weights(name)
    given = [f'--{option}' for option in OF_OWN if getattr(args, option)]
    if given:
        raise InputError(f'{name} is published, and its card on record: leave out {given}')
    local = args.is_file and '://' not in args.source
    checkpoint = load_original(args.source) if local else read_checkpoint(SCHEME + name)
    state = checkpoint['state_dict']
    card = Card(name, weights, FILES[0], weights.license, count_classes(state))
    return card, state, checkpoint['meta']


def read_own(args):
    """Return the card, the state dict and the meta of the user's own checkpoint."""
    from hardnet_mm.checkpoints.card import Card
    from hardnet_mm.checkpoints.published import PublishedWeights
    from hardnet_mm.checkpoints.reading import read_checkpoint
    from hardnet_mm.utils.errors import InputError

    missing = [f'--{name}' for name in ('data', 'license') if not getattr(args, name)]
    if missing:
        raise InputError(
            f'{args.source} is none of the published files: its card needs {" and ".join(missing)}'
        )
    checkpoint = read_checkpoint(args.source)
    state = checkpoint.get('state_dict', checkpoint)
    weights = PublishedWeights(
        (),
        architecture_of(args.source, state),
        task_of(state),
        '',
        data=args.data,
        split=args.split,
        metrics=dict(args.metrics) if args.metrics else None,
    )
    card = Card(
        args.name or Path(args.source).stem, weights, FILES[0], args.license, count_classes(state)
    )
    return card, state, checkpoint.get('meta')


def architecture_of(source, state):
    """Return the name of a checkpoint's published variant."""
    from hardnet_mm.backbones.official_keys import describe_stem, recognise
    from hardnet_mm.utils.errors import InputError

    if not any(key.startswith('backbone.') for key in state):
        state = {f'backbone.{key}': value for key, value in state.items()}
    name = recognise(*describe_stem(state, 'backbone.stem.{}.conv.weight'))
    if name is None:
        raise InputError(f'{source} is of no published HarDNet: its keys are {list(state)[:3]}...')
    return name


def task_of(state):
    """Return a model's task from its head, under the name of mm's metafiles."""
    if any(key.startswith('decode_head.') for key in state):
        return 'Semantic Segmentation'
    heads = ('bbox_head.', 'roi_head.', 'rpn_head.')
    if any(key.startswith(heads) for key in state):
        return 'Object Detection'
    return 'Image Classification'


def count_classes(state):
    """Return a classifier's number of classes; 0 for any other model."""
    bias = state.get('head.fc.bias')
    return 0 if bias is None else len(bias)


def main(args):
    import importlib.util

    from hardnet_mm.utils.files import folder_beside

    for package in ('safetensors', 'yaml'):
        if importlib.util.find_spec(package) is None:
            raise ImportError(EXTRA.format(package), name=package)
    from hardnet_mm.checkpoints.safetensors_files import save_tensors

    card, state, meta = read(args)
    with folder_beside(args.out_dir / FILES[0]) as new:
        save_tensors(new / FILES[0], state, meta)
        (new / FILES[1]).write_text(card.config(), encoding='utf-8')
        (new / FILES[2]).write_text(card.text(), encoding='utf-8')
        for name in FILES:  # the card last: it speaks of the others
            os.replace(new / name, args.out_dir / name)
    print(f'{args.out_dir}: {len(state)} tensors of {card.name}, and the card in README.md')


if __name__ == '__main__':
    run(parse_args, main, with_mm=False)
