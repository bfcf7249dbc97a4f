"""Replace the backbone of a config by HarDNet, and adapt the settings that depend on it.

The new config inherits from the old one and contains only the differences. Before it is written,
its model is built and run once. If the model fails, and the old one fails in the same way, the
config is written, and the report says so. The report, on the standard error, lists what changed and
why, what could not be decided, and what to check in training. For a config in pure Python, the
complete config is written as a text config.
"""

import contextlib
import logging
import os
import sys
import tempfile
from pathlib import Path

from command_line import (
    check_file,
    check_new_file,
    import_light,
    make_parser,
    run,
    user_path,
)


def parse_args():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add(
        'config',
        type=user_path,
        help="path, or a name such as 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'",
    )
    add(
        '--arch',
        default='hardnet68',
        choices=import_light('backbones.architectures').ARCHITECTURES,
        help='default: hardnet68',
    )
    add(
        '--backbone',
        help='path of the backbone in the model, such as student.backbone; needed if it is not '
        'found, or if there are several',
    )
    add(
        '--outputs',
        nargs='+',
        metavar='CHANNELS:STRIDE',
        help='channels and stride of each output of the old backbone, such as 256:4 512:8; needed '
        'if it cannot be built here',
    )
    add(
        '--imports',
        nargs='+',
        default=[],
        metavar='MODULE',
        help="modules that register the project's classes, if its own train.py imports them and "
        'the config does not',
    )
    add(
        '--no-trial',
        action='store_true',
        help='neither build nor run the new model: for one that you will complete by hand',
    )
    add('--out', type=user_path, help='config to write; default: it is printed')
    add('--no-pretrained', action='store_true', help='initialise the backbone randomly')
    add('--overwrite', action='store_true', help='replace --out if it exists')
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    if args.out is not None:
        check_new_file(parser, '--out', args.out, args.overwrite, suffixes=('.py',))
        args.out = Path(args.out)
    return args


def as_text(cfg, folder):
    """Write a pure-Python config as a text config that can be inherited from; return its path."""
    path = Path(folder, 'complete.py')
    path.write_text(cfg.pretty_text)
    return str(path)


def inheriting(args, differences):
    """Return the text of a config that inherits from the one named on the command line."""
    from hardnet_mm.utils.config_text import config_text

    base = args.config
    if '::' not in base:
        base = os.path.relpath(base, args.out.parent if args.out else '.')
    return config_text(base, differences)


def try_out(cfg, swap, new):
    """Build and run the new model; return what was done, if it ran, and what is left undecided.

    If the new model fails, the old one is run. If that fails in the same way, the images of the
    trial are the reason, not HarDNet.
    """
    from hardnet_mm.swap.failures import explain_broken, explain_failure, explain_untried
    from hardnet_mm.swap.places import reach
    from hardnet_mm.swap.trial import failure, is_same_failure, predict_on_some_size
    from hardnet_mm.utils.configs import build_model
    from hardnet_mm.utils.errors import InputError

    model, undecided = None, []
    try:
        model = build_model(new)
        predict_on_some_size(model, new, reach(new.model, swap.keys))
    except Exception as error:  # whatever a project may raise
        old = failure(cfg, reach(cfg.model, swap.keys))
        same = old is not None and is_same_failure(old, error)
        if model is None and same:
            raise InputError(explain_broken(error)) from error
        if not same:
            raise InputError(explain_failure(swap, new, error, old)) from error
        undecided = [explain_untried(swap, new, error)]
    parameters = sum(parameter.numel() for parameter in model.parameters())
    done = 'built, not run' if undecided else 'built and run once'
    return f'a model of {parameters / 1e6:.1f} M parameters, {done}', not undecided, undecided


def main(args):
    from mmengine.utils import import_modules_from_strings

    from hardnet_mm.swap.backbone import plan_swap
    from hardnet_mm.swap.places import reach
    from hardnet_mm.swap.probe import told_outputs
    from hardnet_mm.swap.report import report
    from hardnet_mm.utils.configs import is_pure_python, read_config, read_inherited
    from hardnet_mm.utils.files import written_whole

    logging.disable(logging.INFO)  # mmengine lists the initialisation of each parameter
    with contextlib.redirect_stdout(sys.stderr):  # some toolboxes print as they are imported
        sys.path.insert(0, os.curdir)  # as for a script of the project's own
        import_modules_from_strings(args.imports)
        cfg = read_config(args.config)
        with tempfile.TemporaryDirectory() as folder:
            base = args.config
            if is_pure_python(cfg):
                base = as_text(cfg, folder)
                cfg = read_config(base)
            outputs = told_outputs(args.outputs) if args.outputs else None
            swap = plan_swap(cfg, args.arch, not args.no_pretrained, args.backbone, outputs)
            new = read_inherited(base, swap.differences)
        outcome = ('not tried', False, []) if args.no_trial else try_out(cfg, swap, new)
    tried, ran, more = outcome
    text = new.pretty_text if base != args.config else inheriting(args, swap.differences)
    if args.out is None:
        print(text, end='')
    else:
        with written_whole(args.out) as file:
            file.write_text(text)
    lines = report(cfg, swap, *more, ran=ran)
    lines.append(
        f'{args.arch} instead of {reach(cfg.model, swap.keys).type} in {args.config}: {tried}'
        f'{f", written to {args.out}" if args.out else ""}'
    )
    print(*lines, sep='\n', file=sys.stderr)


if __name__ == '__main__':
    run(parse_args, main)
