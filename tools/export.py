"""Export an end-to-end model, run it in the format's runtime, and compare it with PyTorch.

The exported model takes images as OpenCV reads them (BGR, 0 to 255), as a float32 tensor N x 3 x H
x W, at the size that the config tests at. The file is not written if its outputs differ from
PyTorch's by more than the allowed difference.
"""

import logging
from functools import partial
from pathlib import Path

from command_line import (
    Settings,
    check_file,
    import_light,
    make_parser,
    positive,
    run,
    user_path,
)


def parse_args():
    table = import_light('export.formats.table')
    formats = table.FORMATS
    quantized = [name for name, files in formats.items() if files.int8_packages is not None]
    parser = make_parser(__doc__)
    add = parser.add_argument
    add('config', type=user_path, help='config of the model')
    add('checkpoint', type=user_path, help='checkpoint file')
    add('--format', required=True, choices=formats)
    add('--out', required=True, type=user_path, help="file to write, with the format's suffix")
    add(
        '--images',
        nargs='+',
        type=user_path,
        help='images to compare on; default: images of the test set',
    )
    add(
        '--num-images',
        type=positive,
        default=8,
        help='number of images of the test set to compare on; default: 8',
    )
    add(
        '--int8',
        action='store_true',
        help=f'quantise to int8, calibrated on the training set; for {", ".join(quantized)}',
    )
    add(
        '--calibration-images',
        type=positive,
        default=100,
        help='number of images of the training set to calibrate on; default: 100',
    )
    add('--overwrite', action='store_true', help="replace --out and the format's files beside it")
    add(
        '--allow-difference',
        action='store_true',
        help='write a file that differs from PyTorch, too; the difference is printed',
    )
    add(
        '--cfg-options',
        nargs='+',
        action=Settings,
        help='override settings of the config: key=value pairs, nested keys with dots',
    )
    args = parser.parse_args()
    args.out = Path(args.out)
    files = formats[args.format]
    if args.out.suffix != files.suffix:
        parser.error(f'--out must end in {files.suffix} for {args.format}, got {args.out}')
    if args.int8 and args.format not in quantized:
        parser.error(f'--int8 is for {quantized}, got {args.format}')
    missing = files.missing_packages(args.int8)
    if missing:
        parser.error(table.install_hint(missing))
    existing = table.existing_files(args.out, args.format, args.overwrite)
    if existing:
        parser.error(table.exists_hint(existing))
    check_file(parser, 'config', args.config)
    check_file(parser, 'checkpoint', args.checkpoint)
    for path in args.images or []:
        check_file(parser, 'image', path)
    return args


class Exporter:
    """Exports a model.

    Args:
        args (Namespace): As of :func:`parse_args`.

    Raises:
        FileNotFoundError: If a checkpoint, a config or data is missing.
        InputError: If the config or the checkpoint cannot be exported.
    """

    def __init__(self, args):
        from hardnet_mm.checkpoints.files import check_checkpoint
        from hardnet_mm.export.formats import FORMATS
        from hardnet_mm.utils.configs import read_config
        from hardnet_mm.utils.data_settings import check_data_files
        from hardnet_mm.utils.datasets import leaf_datasets
        from hardnet_mm.utils.errors import InputError
        from hardnet_mm.utils.toolboxes import register_toolbox

        self.args, self.format = args, FORMATS[args.format]
        check_checkpoint(args.checkpoint)
        self.cfg = read_config(args.config, args.cfg_options)
        self.registry = register_toolbox(self.cfg.default_scope)
        for loader in ('test_dataloader', *(['train_dataloader'] if args.int8 else [])):
            if not self.cfg.get(loader):
                raise InputError(f'{args.config} has no {loader}, whose images are asked for')
        test_set = self.cfg.test_dataloader.dataset
        self.pipeline = next(leaf_datasets(test_set)).pipeline
        if not args.images:
            check_data_files(self.cfg, 'test_dataloader')
        if args.int8:
            check_data_files(self.cfg, 'train_dataloader')

    def run(self):
        """Export, and print the files written."""
        from mmengine.registry import init_default_scope

        from hardnet_mm.export.writing import export

        args = self.args
        init_default_scope(self.cfg.default_scope)
        self.model, self.end_to_end = self.read_model()
        self.items = self.read_items()
        self.check_items()
        images = self.items[0]['inputs'][None].float()
        steps = dict(quantize=self.quantizer(), check=self.check, overwrite=args.overwrite)
        for file in export(self.end_to_end, images, args.out, args.format, **steps):
            print(f'{file}: {file.stat().st_size / 1e6:.1f} MB')

    def read_model(self):
        """Return the trained model, and the end-to-end model to be exported."""
        from hardnet_mm.checkpoints.loaders import load_whole
        from hardnet_mm.deploy import to_deploy
        from hardnet_mm.export.end_to_end import build_end_to_end
        from hardnet_mm.utils.configs import build_model
        from hardnet_mm.utils.datasets import class_names, count_classes

        model = build_model(self.cfg)
        # refuses models that cannot be exported before the weights are read
        build_end_to_end(model, self.format.inside)
        classes = class_names(self.cfg, load_whole(model, self.args.checkpoint))
        if classes and len(classes) != count_classes(model):
            classes = None
        deployed = to_deploy(model, channels_last=False)
        return model, build_end_to_end(deployed, self.format.inside, classes).eval()

    def read_items(self):
        """Return the images to compare on, prepared by the test pipeline."""
        from mmengine.dataset import Compose

        if not self.args.images:
            return self.read_dataset(self.cfg.test_dataloader.dataset, self.args.num_images)
        steps = [step for step in self.pipeline if 'LoadAnnotations' not in str(step['type'])]
        compose = Compose(steps)
        return [
            compose(dict(img_path=str(file), img_id=index))
            for index, file in enumerate(self.args.images)
        ]

    def read_dataset(self, settings, count):
        """Return ``count`` items of a data set, evenly spaced."""
        from hardnet_mm.utils.errors import InputError

        dataset = self.registry.DATASETS.build(settings)
        if not len(dataset):
            raise InputError(f'the data set has no image: {settings}')
        count = min(count, len(dataset))
        return [dataset[index * len(dataset) // count] for index in range(count)]

    def check_items(self):
        """Refuse images that the file cannot take, and tell the end-to-end model their ratio."""
        from hardnet_mm.utils.errors import InputError

        for item in self.items:
            self.end_to_end.check_input(item)
        self.end_to_end.tested_as(self.items[0]['data_samples'])
        sizes = sorted({tuple(item['inputs'].shape[1:]) for item in self.items})
        if len(sizes) > 1 and not (self.end_to_end.any_size and self.format.any_size):
            raise InputError(
                f'the file takes images of one size, and the test pipeline gives {sizes}: resize '
                'them to one there, or pass --images of one size'
            )
        others = sum(self.end_to_end.resizes_otherwise(item['data_samples']) for item in self.items)
        if others:
            print(
                f'{others} of {len(self.items)} images are resized for testing by another ratio '
                'than the first one, whose label maps the file enlarges to its own size: for them '
                'it gives maps of that ratio'
            )

    def quantizer(self):
        """Return a function that rewrites a file in int8, None without ``--int8``."""
        from hardnet_mm.export.quantization import QUANTIZERS
        from hardnet_mm.utils.datasets import with_pipeline

        if not self.args.int8:
            return None
        settings = with_pipeline(self.cfg.train_dataloader.dataset, self.pipeline)
        items = self.read_dataset(settings, self.args.calibration_images)
        batches = [item['inputs'][None].float().numpy() for item in items]
        return partial(QUANTIZERS[self.args.format], images=batches)

    def check(self, path):
        """Print a file's differences from PyTorch, and refuse a file with larger ones."""
        from hardnet_mm.export.compare import INT8_TOLERANCES, TOLERANCES, compare
        from hardnet_mm.export.formats import load
        from hardnet_mm.utils.errors import InputError

        int8 = self.args.int8
        tolerances = INT8_TOLERANCES if int8 else TOLERANCES
        runtime, worst, ties = load(path), {}, 0
        for index, item in enumerate(self.items):
            result = compare(self.end_to_end, runtime, self.model, item, tolerances)
            image = item['data_samples'].get('img_path', f'image {index}')
            for difference in [] if int8 else result.differences[:5]:
                print(f'{image}: {difference}')
            ties += result.ties
            for name, value in result.distances.items():
                worst[name] = max((value, image), worst.get(name, (0, image)))
        for name, (value, image) in worst.items():
            limit = 'no limit in int8' if int8 else f'at most {tolerances[name]}'
            where = f', the most on {image}' if value else ''
            print(f'{name}: {value:.3g} from PyTorch on {len(self.items)} images, {limit}{where}')
        if ties:
            print(f'{ties} detections are ties that either may decide its own way, not counted')
        far = [
            f'{name} {value:.3g} on {image}, allowed are {tolerances[name]}'
            for name, (value, image) in worst.items()
            if not value <= tolerances[name]
        ]
        if far and not int8 and not self.args.allow_difference:
            raise InputError(
                f'the {self.args.format} file differs from PyTorch, and was not written: '
                f'{"; ".join(far)}. --allow-difference keeps such a file'
            )


def main(args):
    logging.disable(logging.INFO)
    Exporter(args).run()


if __name__ == '__main__':
    run(parse_args, main)
