"""Draw the figures of docs/figures from the code, the configs and a benchmark's results.

links draws the links of a HarDNet block; accuracy the published results over the latency that
benchmark.py measured; network the parts of a config's model, with their channels and strides.
"""

import logging
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import check_file, check_new_file, make_parser, run, user_path  # noqa: E402

SUFFIXES = ('.svg', '.png')


def parse_args():
    parser = make_parser(__doc__)
    figures = parser.add_subparsers(dest='figure', required=True, metavar='FIGURE')
    links = figures.add_parser('links', help='the links of a HarDNet block')
    links.add_argument('--layers', type=int, default=16, help='of the block; default: 16')
    links.add_argument('--growth-rate', type=int, default=20, help='k; default: 20')
    links.add_argument('--growth-multiplier', type=float, default=1.7, help='m; default: 1.7')
    accuracy = figures.add_parser('accuracy', help='published results over measured latency')
    accuracy.add_argument(
        'results',
        nargs='+',
        type=user_path,
        help='results.json files that benchmark.py --out-dir left, a panel each',
    )
    network = figures.add_parser('network', help="a model's parts, channels and strides")
    network.add_argument(
        'config',
        type=user_path,
        help='of a classifier, SSD, RFBNet, CenterNet or FC-HarDNet of HarDNet',
    )
    network.add_argument(
        '--size',
        nargs=2,
        type=int,
        metavar=('HEIGHT', 'WIDTH'),
        help='of the image; default: 224 224 for a classifier, else 512 512',
    )
    for figure in (links, accuracy, network):
        figure.add_argument('--out', type=user_path, required=True, help='.svg or .png to write')
        figure.add_argument('--overwrite', action='store_true', help='replace --out')
    args = parser.parse_args()
    check_new_file(parser, '--out', args.out, args.overwrite, suffixes=SUFFIXES)
    check_figure(parser, args)
    return args


def check_figure(parser, args):
    """Refuse arguments from which no figure can be drawn."""
    if args.figure == 'links':
        if not 1 <= args.layers <= 32:
            parser.error(f'--layers must be 1 to 32, got {args.layers}')
        if args.growth_rate < 2 or args.growth_multiplier < 1:
            parser.error(
                '--growth-rate must be at least 2 and --growth-multiplier at least 1, got '
                f'{args.growth_rate} and {args.growth_multiplier}'
            )
    elif args.figure == 'accuracy':
        for path in args.results:
            check_file(parser, 'file of results', path)
    else:
        check_file(parser, 'config', args.config)
        if args.size and min(args.size) < 64:
            parser.error(f'--size must be at least 64 64, got {args.size[0]} {args.size[1]}')


def main(args):
    from figures.style import save

    if args.figure == 'links':
        from figures.links import draw_links

        figure = draw_links(args.layers, args.growth_rate, args.growth_multiplier)
    elif args.figure == 'accuracy':
        from figures.accuracy import draw_accuracy, read_panels

        figure = draw_accuracy(read_panels(args.results))
    else:
        from figures.network import draw_network

        logging.disable(logging.INFO)  # what each parameter is initialized with
        figure = draw_network(args.config, args.size)
    save(figure, args.out)
    print(args.out)


if __name__ == '__main__':
    run(parse_args, main)
