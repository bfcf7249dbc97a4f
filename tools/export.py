"""Export a whole model, run the file in its runtime, and compare it with PyTorch on real images.

The file takes images as OpenCV reads them (BGR, 0..255, float32, N x 3 x H x W) at the size that
the model is tested at. It is not written where it differs from PyTorch by more than is stated.
"""

import argparse
import logging
from functools import partial
from pathlib import Path

import torch
from command_line import add_common_arguments
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmengine.utils import import_modules_from_strings

from hardnet_mm.checkpoint_files import check_checkpoint
from hardnet_mm.deploy import to_deploy
from hardnet_mm.deploy.export import TOLERANCES, ExportedModel, compare, export
from hardnet_mm.deploy.formats import FORMATS, load
from hardnet_mm.deploy.quantize import QUANTIZERS
from hardnet_mm.deploy.whole import as_whole
from hardnet_mm.model_config import build_model
from hardnet_mm.runtime import load_config


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('config', help='config of the model')
    add('checkpoint', help='checkpoint file')
    add('--format', required=True, choices=FORMATS)
    add('--out', required=True, type=Path, help="the file to write, with the format's suffix")
    add('--images', nargs='+', help='images to compare on; the test set where not given')
    add('--num-images', type=int, default=8, help='how many of the test set')
    add(
        '--int8',
        action='store_true',
        help=f'quantise, calibrated on the training set: {[*QUANTIZERS]}',
    )
    add('--calibration-images', type=int, default=100)
    add('--overwrite', action='store_true', help='replace --out if it is there')
    add_common_arguments(parser)
    args = parser.parse_args()
    suffix = FORMATS[args.format].suffix
    if args.out.suffix != suffix:
        parser.error(f'--out must end in {suffix} for {args.format}, got {args.out}')
    if args.out.exists() and not args.overwrite:
        parser.error(f'--out {args.out} is there already: choose another or pass --overwrite')
    if args.int8 and args.format not in QUANTIZERS:
        parser.error(f'--int8 is for {[*QUANTIZERS]}, got {args.format}')
    return args


def read_model(cfg, checkpoint):
    """Return the trained model."""
    model = build_model(cfg)
    try:
        load_checkpoint(model, checkpoint, map_location='cpu', strict=True, logger='silent')
    except RuntimeError as error:
        raise ValueError(f'{checkpoint} is not one of this config: {error}') from error
    return model


def read_images(cfg, count, loader='test_dataloader', files=None):
    """Return items of a data set, prepared as for testing: a dict of inputs and data samples."""
    dataset = cfg.test_dataloader.dataset
    pipeline = dataset.pipeline
    registry = import_modules_from_strings(f'{cfg.default_scope}.registry')
    if files:
        compose = import_modules_from_strings('mmengine.dataset').Compose
        steps = compose([step for step in pipeline if step['type'] != 'LoadAnnotations'])
        return [steps(dict(img_path=str(file), img_id=i)) for i, file in enumerate(files)]
    settings = cfg[loader].dataset
    while 'pipeline' not in settings:  # within a RepeatDataset or the like
        settings = settings.dataset
    dataset = registry.DATASETS.build({**settings, 'pipeline': pipeline})
    return [dataset[index * len(dataset) // count] for index in range(min(count, len(dataset)))]


def main():
    args = parse_args()
    check_checkpoint(args.checkpoint)
    logging.disable(logging.INFO)
    cfg = load_config(args)
    init_default_scope(cfg.default_scope)
    model = read_model(cfg, args.checkpoint)
    items = read_images(cfg, args.num_images, files=args.images)
    sample = items[0]['data_samples']
    scale = sample.ori_shape[1] / sample.img_shape[1]
    deployed = to_deploy(model, channels_last=False)
    whole = as_whole(deployed, FORMATS[args.format].inside, scale).eval()
    images = torch.stack([item['inputs'].float() for item in items[:1]])
    quantize = None
    if args.int8:
        calibration = read_images(cfg, args.calibration_images, 'train_dataloader')
        batches = [item['inputs'][None].float().numpy() for item in calibration]
        quantize = partial(QUANTIZERS[args.format], images=batches)

    def check(path):
        exported = ExportedModel(whole, load(path))
        worst = {}
        for item in items:
            batch = dict(inputs=[item['inputs']], data_samples=[item['data_samples']])
            with torch.no_grad():
                (wanted,) = model.test_step(
                    dict(batch, data_samples=[item['data_samples'].clone()])
                )
            (found,) = exported.test_step(batch)
            for name, value in compare(found, wanted).items():
                worst[name] = max(value, worst.get(name, 0))
        for name, value in worst.items():
            limit = 'no limit in int8' if args.int8 else f'at most {TOLERANCES[name]}'
            print(f'{name}: {value:.3g} from PyTorch on {len(items)} images, {limit}')
            if not args.int8 and not value <= TOLERANCES[name]:
                raise RuntimeError(
                    f'the {args.format} file differs from PyTorch: {name} {value:.3g}, allowed are '
                    f'{TOLERANCES[name]}; it was not written'
                )

    for file in export(whole, images, args.out, args.format, quantize, check):
        print(f'{file}: {file.stat().st_size / 1e6:.1f} MB')


if __name__ == '__main__':
    main()
