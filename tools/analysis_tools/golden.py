"""Recompute the golden outputs of tests/data from a clone of an original program.

The original's network gets the stand-in weights of tests/helpers/stand_in.py and a fixed input. Its
outputs and the clone's commit are written to a file, or compared with one. This executes the Python
code of the clone: use one whose code you trust. A checkout of this repository is needed, with its
tests.
"""

import contextlib
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / 'tools'), str(ROOT / 'tests')]
from command_line import check_file, check_new_file, make_parser, run, user_path  # noqa: E402

# Part of the largest value by which outputs may differ. CPUs and releases of PyTorch sum up in
# different orders, and so round differently.
TOLERANCE = 1e-4


@dataclass
class Original:
    """A network of an original program.

    Attributes:
        repository (str): Owner and name of the repository on GitHub.
        file (str): The file that defines the network, a path in the repository.
        build (Callable): Maps that file's module to the network.
        outputs (Callable): Maps the network and an image to named outputs.
        size (tuple[int]): Height and width of the input, in pixels.
        note (str): Description of the outputs.
        stubs (dict): Modules, by name, that the file imports and the network does not use.
        facts (dict): Further entries of the golden file.
    """

    repository: str
    file: str
    build: Callable
    outputs: Callable
    size: tuple
    note: str
    stubs: dict = field(default_factory=dict)
    facts: dict = field(default_factory=dict)


def classifier(**settings):
    """Return a classifier of Pytorch-HarDNet."""
    return Original(
        repository='PingoLH/Pytorch-HarDNet',
        file='hardnet.py',
        build=lambda module: module.HarDNet(pretrained=False, **settings),
        outputs=run_classifier,
        size=(224, 224),
        note='classification model; base.N is the output of entry N of its layer list, kept for '
        'each Conv-BN-ReLU6 entry (stem and transitions); logits before softmax',
    )


def run_classifier(model, image):
    """Return the outputs of the stem and the transitions, and the logits."""
    from helpers.stand_in import sample

    outputs = {}
    for number, layer in enumerate(model.base):
        if type(layer).__name__ == 'ConvLayer':
            # sampled at once: later layers may compute in place
            layer.register_forward_hook(
                lambda module, inputs, output, name=f'base.{number}': outputs.update(
                    {name: sample(output)}
                )
            )
    outputs['logits'] = sample(model(image))
    return {name: outputs[name] for name in sorted(outputs, key=number_of)}


def number_of(name):
    """Return N for base.N, and a larger number for any other output."""
    return int(name.removeprefix('base.')) if name.startswith('base.') else sys.maxsize


def run_segmentor(model, image):
    """Return the logits."""
    from helpers.stand_in import sample

    return dict(logits=sample(model(image)))


def run_centernet(model, image):
    """Return the raw maps of the heads."""
    from helpers.stand_in import sample

    return {name: sample(output) for name, output in model(image)[0].items()}


def multibox(file, num_classes):
    """Return a detector of PytorchSSD."""
    return Original(
        repository='lzx1413/PytorchSSD',
        file=file,
        build=lambda module: module.build_net(size=512, num_classes=num_classes),
        outputs=run_multibox,
        size=(512, 512),
        note=f'loc (1, priors, 4) encoded with variances 0.1, 0.2; conf (1, priors, {num_classes}) '
        'raw scores, class 0 is background; priors level by level, row by row, then per cell',
        facts=dict(num_classes=num_classes),
    )


def run_multibox(model, image):
    """Return the encoded boxes and the raw scores.

    SSD's L2Norm divides its input in place. On the PyTorch of its time that made a new tensor, so
    the layers behind it read the features before normalisation; here it is given a copy.
    """
    from helpers.stand_in import sample

    if hasattr(model, 'L2Norm'):  # RFBNet has none
        model.L2Norm.register_forward_pre_hook(lambda module, inputs: (inputs[0].clone(),))
    boxes, scores = model(image)
    return dict(loc=sample(boxes), conf=sample(scores))


ORIGINALS = dict(
    hardnet39ds_cls=classifier(arch=39, depth_wise=True),
    hardnet68ds_cls=classifier(arch=68, depth_wise=True),
    hardnet68_cls=classifier(arch=68),
    hardnet85_cls=classifier(arch=85),
    fchardnet70=Original(
        repository='PingoLH/FCHarDNet',
        file='ptsemseg/models/hardnet.py',
        build=lambda module: module.hardnet(n_classes=19),
        outputs=run_segmentor,
        size=(256, 512),
        note='segmentation logits at input size',
        # a CUDA extension, for the network's other form
        stubs={'CatConv2d': None, 'CatConv2d.catconv2d': SimpleNamespace(CatConv2d=None)},
    ),
    centernet_hardnet85=Original(
        repository='PingoLH/CenterNet-HarDNet',
        file='src/lib/models/networks/hardnet.py',
        build=lambda module: module.HarDNetSeg(
            85,
            heads=dict(hm=80, wh=4),
            pretrained=False,
            down_ratio=4,
            final_kernel=1,
            last_level=4,
            head_conv=256,
        ),
        outputs=run_centernet,
        size=(256, 256),
        note='hm raw (before sigmoid), stride 4; wh channels: w, h, offset x, offset y in '
        'feature-map cells',
    ),
    ssd512_hardnet68=multibox('models/SSD_HarDNet68.py', num_classes=81),
    rfb512_hardnet68_voc=multibox('models/RFB_HarDNet68.py', num_classes=21),
)


def parse_args():
    parser = make_parser(__doc__)
    parser.add_argument('clone', type=user_path, help='of the original; its code is executed')
    parser.add_argument('name', choices=ORIGINALS, metavar='NAME', help=', '.join(ORIGINALS))
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument('--out', type=user_path, help='.json to write')
    way.add_argument(
        '--compare',
        type=user_path,
        metavar='FILE',
        help=f'golden file to compare with instead; status 1 above {TOLERANCE:g} of the largest '
        'value',
    )
    parser.add_argument('--overwrite', action='store_true', help='replace --out if it is there')
    parser.add_argument(
        '--float64',
        action='store_true',
        help='compute in float64, which shows how far the file itself is from the exact values',
    )
    args = parser.parse_args()
    if args.float64 and args.compare is None:
        parser.error('--float64 is for --compare: golden files hold float32 outputs')
    original = ORIGINALS[args.name]
    kind = f'clone of https://github.com/{original.repository} that has'
    check_file(parser, kind, os.path.join(args.clone, original.file))
    if args.out is None:
        check_file(parser, 'golden file', args.compare)
    else:
        check_new_file(parser, '--out', args.out, args.overwrite, suffixes=('.json',))
    return args


def find_commit(clone):
    """Return the commit of a clone.

    Raises:
        InputError: If the folder is not a clone, or if a Python file differs from the commit's.
    """
    from hardnet_mm.utils.errors import InputError

    def git(*arguments):
        command = ['git', '-C', clone, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    top = git('rev-parse', '--show-toplevel', 'HEAD')
    if top.returncode or not os.path.samefile(top.stdout.split('\n')[0], clone):
        raise InputError(f'{clone} is no clone with a commit: {top.stderr.strip() or top.stdout}')
    changed = git('status', '--porcelain', '--untracked-files=no', '--', '*.py').stdout
    if changed:
        files = [line.split()[-1] for line in changed.splitlines()]
        raise InputError(
            f'{clone} is not as its commit, `git checkout .` restores it: {len(files)} Python '
            f'files differ, such as {", ".join(files[:3])}'
        )
    return top.stdout.split('\n')[1]


def load_network(clone, original):
    """Execute the original's file and return its network, in evaluation mode."""
    path = Path(clone, original.file).resolve()
    spec = importlib.util.spec_from_file_location(f'original_{path.stem}', path)
    module = importlib.util.module_from_spec(spec)
    with (
        mock.patch.object(sys, 'path', [str(Path(clone).resolve()), *sys.path]),
        mock.patch.dict(sys.modules, original.stubs),
        contextlib.redirect_stdout(sys.stderr),  # some print as they are built
    ):
        spec.loader.exec_module(module)
        return original.build(module).eval()


def golden_outputs(clone, original, float64=False):
    """Return the content of a golden file, computed in float32 or in float64."""
    import torch
    from helpers.stand_in import fill_state_dict, golden_input

    commit = find_commit(clone)
    model = load_network(clone, original)
    entries = [[key, list(value.shape)] for key, value in model.state_dict().items()]
    model.load_state_dict(fill_state_dict(entries))
    dtype = torch.float64 if float64 else torch.float32
    with torch.no_grad():
        outputs = original.outputs(model.to(dtype), golden_input(*original.size).to(dtype))
    return dict(
        note=original.note,
        original=dict(repository=original.repository, commit=commit),
        input=list(original.size),
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        state_dict=entries,
        outputs=outputs,
        **original.facts,
    )


def differences(made, stored):
    """Yield the difference of each output, and of each other entry that differs.

    Args:
        made (dict): As of :func:`golden_outputs`.
        stored (dict): Content of a golden file.

    Yields:
        tuple[str, float]: Name, and largest difference as a part of the stored output's largest
        absolute value. The difference is infinite for other entries and other shapes.
    """
    for key in (set(made) | set(stored)) - {'note', 'original', 'outputs'}:
        if made.get(key) != stored.get(key):
            yield key, float('inf')
    for name in set(made['outputs']) | set(stored['outputs']):
        ours, theirs = (content['outputs'].get(name, {}) for content in (made, stored))
        if ours.get('shape') != theirs.get('shape'):
            yield name, float('inf')
            continue
        pairs = list(zip(ours['values'], theirs['values'], strict=True))
        pairs += [(ours[key], theirs[key]) for key in ('mean', 'std')]
        largest = max(abs(theirs) for _, theirs in pairs)
        yield name, max(abs(ours - theirs) for ours, theirs in pairs) / largest


def main(args):
    from hardnet_mm.utils.files import written_whole

    original = ORIGINALS[args.name]
    content = golden_outputs(args.clone, original, args.float64)
    if args.out is not None:
        with written_whole(args.out) as new:
            new.write_text(json.dumps(content) + '\n', encoding='utf-8')
        print(f'{args.out}: {original.repository} at {content["original"]["commit"]}')
        return
    stored = json.loads(Path(args.compare).read_text(encoding='utf-8'))
    found = dict(differences(content, stored))
    for name, difference in sorted(found.items()):
        print(f'{name:12} {difference:.1e}')
    if max(found.values()) > TOLERANCE:
        print(f'{args.compare} differs by more than {TOLERANCE:g}', file=sys.stderr)
        sys.exit(1)


if __name__ == '__main__':
    run(parse_args, main)
