"""Draw a detector's boxes on the first test images, in one picture, and count the objects found.

An object is found if the IoU of a drawn box of its class with it is at least 0.5.
"""

import logging
import math
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import (  # noqa: E402
    add_common_arguments,
    check_file,
    check_new_file,
    fraction,
    make_parser,
    run,
    user_path,
)

GAP = 6  # pixels between the images


def parse_args():
    parser = make_parser(__doc__)
    add = parser.add_argument
    add('config', type=user_path, help='config of a detector')
    add('checkpoint', type=user_path, help='checkpoint file')
    add('--out', type=user_path, required=True, help='.jpg or .png to write')
    add('--overwrite', action='store_true', help='replace --out if it is there')
    add('--images', type=int, default=8, help='number of images; default: 8')
    add('--columns', type=int, default=4, help='images side by side; default: 4')
    add('--enlarge', type=float, default=1.5, help='factor to enlarge images by; default: 1.5')
    add('--score-thr', type=fraction, default=0.3, help='minimum score of a box; default: 0.3')
    add(
        '--heatmaps',
        action='store_true',
        help='draw the heatmap of a CenterNet beside each image: its maximum over the classes',
    )
    add_common_arguments(parser)
    args = parser.parse_args()
    check_file(parser, 'config', args.config)
    check_file(parser, 'checkpoint', args.checkpoint)
    check_new_file(parser, '--out', args.out, args.overwrite, suffixes=('.jpg', '.png'))
    for option in ('images', 'columns', 'enlarge'):
        if getattr(args, option) < 1:
            parser.error(f'--{option} must be at least 1, got {getattr(args, option)}')
    return args


def build(args):
    """Return the model, its test set and the visualizer."""
    from mmengine.registry import DefaultScope

    from hardnet_mm.checkpoints.files import check_checkpoint
    from hardnet_mm.checkpoints.loaders import load_whole
    from hardnet_mm.utils.command_line import load_config
    from hardnet_mm.utils.configs import build_model
    from hardnet_mm.utils.data_settings import check_data_files
    from hardnet_mm.utils.errors import InputError

    check_checkpoint(args.checkpoint)
    cfg = load_config(args)
    if cfg.default_scope != 'mmdet':
        raise InputError(f"{args.config} must be a detector's config, of mmdet")
    if args.heatmaps and cfg.model.type != 'CenterNet':
        raise InputError(
            f'--heatmaps needs a CenterNet: the model of {args.config} is a {cfg.model.type}'
        )
    check_data_files(cfg, 'test_dataloader')
    from mmdet.registry import DATASETS, VISUALIZERS

    model = build_model(cfg)
    load_whole(model, args.checkpoint)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        visualizer = VISUALIZERS.build({**cfg.visualizer, 'vis_backends': None})
    visualizer.dataset_meta = dataset.metainfo
    return model, dataset, visualizer


def draw_tile(model, item, visualizer, args):
    """Return a test image with boxes drawn, RGB, and the counts of :func:`count_found`."""
    import cv2
    import numpy as np
    import torch
    from mmengine.dataset import pseudo_collate

    batch = pseudo_collate([item])
    with torch.no_grad():
        (result,) = model.test_step(batch)
    found = result.pred_instances
    found = result.pred_instances = found[found.scores >= args.score_thr].cpu()
    counts = count_found(item['data_samples'].gt_instances, found)
    image = cv2.cvtColor(cv2.imread(item['data_samples'].img_path), cv2.COLOR_BGR2RGB)
    image = cv2.resize(image, None, fx=args.enlarge, fy=args.enlarge, interpolation=cv2.INTER_CUBIC)
    height, width = image.shape[:2]
    # mmdet would draw the whole image smaller if a box went beyond its border
    limits = found.bboxes.new_tensor([width, height, width, height]) - 1
    found.bboxes = (found.bboxes * args.enlarge).clamp(min=0).minimum(limits)
    visualizer.add_datasample('', image, result, draw_gt=False, pred_score_thr=0)
    tile = visualizer.get_image()
    if args.heatmaps:
        with torch.no_grad():
            heatmap = model(**model.data_preprocessor(batch), mode='tensor')[0][0]
        peaks = visualizer.draw_featmap(
            heatmap[0].amax(dim=0, keepdim=True), image, channel_reduction=None, topk=-1
        )
        tile = np.hstack([tile, peaks])
    return tile, counts


def count_found(objects, boxes):
    """Count objects and boxes of an image.

    Args:
        objects (InstanceData): With ``bboxes`` and ``labels``.
        boxes (InstanceData): With ``bboxes``, ``labels`` and ``scores``.

    Returns:
        tuple[int]: Numbers of objects, of objects found, and of boxes that match no object.
    """
    import numpy as np
    from mmdet.evaluation.functional.mean_ap import tpfp_default

    corners = getattr(objects.bboxes, 'tensor', objects.bboxes).numpy()
    rows = np.column_stack([boxes.bboxes.numpy(), boxes.scores.numpy()])
    right = 0
    for label in set(objects.labels.tolist()):
        own = rows[boxes.labels.numpy() == label]
        these = corners[objects.labels.numpy() == label]
        hits, _ = tpfp_default(own, these, np.zeros((0, 4)), iou_thr=0.5)
        right += int(hits.sum())
    return len(corners), right, len(rows) - right


def join_tiles(tiles, columns):
    """Arrange images ``(H, W, 3)`` of any sizes in a grid on a white sheet."""
    import numpy as np

    height, width = (max(tile.shape[axis] for tile in tiles) + GAP for axis in (0, 1))
    lines = math.ceil(len(tiles) / columns)
    columns = min(columns, len(tiles))
    sheet = np.full((lines * height - GAP, columns * width - GAP, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        top, left = number // columns * height, number % columns * width
        sheet[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
    return sheet


def write_sheet(sheet, path):
    """Write an RGB picture, complete or not at all."""
    from PIL import Image

    from hardnet_mm.utils.files import written_whole

    with written_whole(path) as new:
        Image.fromarray(sheet).save(new, optimize=True, quality=88)


def main(args):
    logging.disable(logging.INFO)  # mmengine lists the initialisation of each parameter
    model, dataset, visualizer = build(args)
    number = min(args.images, len(dataset))
    tiles, counts = zip(
        *(draw_tile(model, dataset[index], visualizer, args) for index in range(number))
    )
    write_sheet(join_tiles(tiles, args.columns), args.out)
    objects, found, wrong = map(sum, zip(*counts))
    print(
        f'{args.out}: the first {number} of {len(dataset)} test images, boxes of a score of '
        f'{args.score_thr:g} or more: {objects} objects, {found} found, {objects - found} missed; '
        f'{wrong} boxes match no object'
    )


if __name__ == '__main__':
    run(parse_args, main)
