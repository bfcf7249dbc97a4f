"""Predict with a detector, a segmentor or a classifier on images, folders, videos and cameras.

INPUT is an image, a folder with images and videos, a pattern in quotes ('photos/**/*.jpg'), an
address (https://...), a video, a camera's number, or a camera's address (rtsp://...). --out-dir
receives the drawn images and videos, and the predictions as JSON or label maps.

The exit status is 0 if every input was predicted on, 1 if an input was skipped, 2 if the arguments
are wrong, and 130 after Ctrl-C. Files are complete in each case.
"""

import argparse
import logging
import sys
import warnings

from command_line import (
    Settings,
    check_file,
    check_new_folder,
    expanded_path,
    fraction,
    import_light,
    make_parser,
    positive,
    run,
    user_path,
)

WEIGHTS = ('.pth', '.pt', '.pkl', '.pdparams', '.ckpt')


def parse_args():
    parser = make_parser(__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add('model', metavar='CONFIG_OR_NAME', type=user_path, help='a config, or published weights')
    add(
        'inputs',
        metavar='[WEIGHTS] INPUT',
        nargs='+',
        help='WEIGHTS: a checkpoint, or a file of tools/export.py; several checkpoints of a '
        'segmentor are averaged; left out with the name of published weights. INPUT: see above',
    )
    add('--out-dir', type=expanded_path, required=True, help='new folder for the results')
    add(
        '--score-thr',
        type=fraction,
        help='minimum score of predictions to draw and store; default: 0.3 for a detector, 0 for a '
        'classifier',
    )
    add('--classes', nargs='+', help='names of the classes to draw and store; default: all')
    add('--device', default='cpu', help='device to compute on, such as cpu, cuda or cuda:1')
    add('--batch-size', type=positive, default=1, help='images in a batch; default: 1')
    add(
        '--deploy',
        choices=['float32', 'bfloat16', 'float16'],
        help='predict with the inference form, hardnet_mm.deploy.to_deploy, in this type',
    )
    add('--no-draw', action='store_true', help='store predictions only, without drawings')
    add('--cfg-options', nargs='+', action=Settings, help='override settings of the config')
    args = parser.parse_args()
    check_new_folder(parser, '--out-dir', args.out_dir)
    if args.model.endswith('.py'):
        check_file(parser, 'config', args.model)
    args.weights = take_weights(parser, args.inputs)
    args.sources = find_inputs(parser, args.inputs)
    return args


def take_weights(parser, inputs):
    """Remove the weights from the front of the inputs and return them, None if there are none."""
    formats = import_light('export.formats.table').FORMATS.values()
    suffixes = (*WEIGHTS, *(row.suffix for row in formats))
    weights = []
    while inputs and (inputs[0].startswith('hardnet://') or inputs[0].endswith(suffixes)):
        weights.append(user_path(inputs.pop(0)))
        check_file(parser, 'checkpoint or exported file', weights[-1])
    if not inputs:
        parser.error('there is nothing to predict on: name an input')
    return weights or None


def find_inputs(parser, texts):
    """Return the sources that the inputs name, and refuse inputs that do not exist."""
    find_sources = import_light('inference.sources').find_sources
    try:
        return [source for text in texts for source in find_sources(text)]
    except ValueError as error:
        parser.error(str(error))


def main(args):
    from hardnet_mm.inference.models import find_model, load_model
    from hardnet_mm.inference.predictors import make_predictor
    from hardnet_mm.inference.results import ResultFolder
    from hardnet_mm.inference.runs import predict_all

    # the toolboxes' warnings about their own inferencers, and about boxes at an image's edge
    logging.disable(logging.WARNING)
    warnings.filterwarnings('ignore', module='mmengine.visualization')
    found = find_model(args.model, args.weights)
    model = load_model(*found, args.device, args.deploy, args.cfg_options)
    predictor = make_predictor(model, args.score_thr, args.classes)
    folder = ResultFolder(args.out_dir, predictor)
    outcome = predict_all(args.sources, predictor, folder, args.batch_size, not args.no_draw)
    print(f'{args.out_dir}: {outcome}' if outcome.count else 'nothing was predicted')
    if outcome.skipped:
        print(f'{len(outcome.skipped)} of {len(args.sources)} inputs skipped, named above')
    sys.exit(128 + outcome.stopped_by if outcome.stopped_by else int(bool(outcome.skipped)))


if __name__ == '__main__':
    run(parse_args, main)
