"""Draw what a CenterNet sees: test images with their boxes, beside them the heatmap's peaks."""

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint

from hardnet_mm.checkpoints.files import check_checkpoint
from hardnet_mm.utils.command_line import load_config

sys.path.append(str(Path(__file__).resolve().parents[1]))
from command_line import (  # noqa: E402
    add_common_arguments,
    check_new_folder,
    expanded_path,
)


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('config', help='config of a CenterNet')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument(
        '--out-dir',
        type=expanded_path,
        required=True,
        help='new folder for the images',
    )
    parser.add_argument('--images', type=int, default=20, help='how many of the test images')
    parser.add_argument('--score-thr', type=float, default=0.3, help='least score of a drawn box')
    add_common_arguments(parser)
    args = parser.parse_args()
    check_new_folder(parser, '--out-dir', args.out_dir)
    return args


def main():
    args = parse_args()
    check_checkpoint(args.checkpoint)
    cfg = load_config(args)
    if cfg.model.type != 'CenterNet':
        raise ValueError(f'{args.config}: model.type must be CenterNet, got {cfg.model.type!r}')
    init_default_scope('mmdet')
    from mmdet.registry import DATASETS, MODELS, VISUALIZERS

    model = MODELS.build(cfg.model).eval()
    load_checkpoint(model, args.checkpoint, map_location='cpu', strict=True)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    visualizer = VISUALIZERS.build(cfg.visualizer)
    visualizer.dataset_meta = dataset.metainfo

    args.out_dir.mkdir(parents=True)
    for index in range(min(args.images, len(dataset))):
        item = dataset[index]
        with torch.no_grad():
            heatmap = model(**model.data_preprocessor(pseudo_collate([item])), mode='tensor')[0][0]
            (result,) = model.test_step(pseudo_collate([item]))
        image = cv2.cvtColor(cv2.imread(item['data_samples'].img_path), cv2.COLOR_BGR2RGB)
        visualizer.add_datasample(
            'boxes', image, result, draw_gt=False, pred_score_thr=args.score_thr
        )
        boxes = visualizer.get_image()
        peaks = visualizer.draw_featmap(
            heatmap[0].amax(dim=0, keepdim=True), image, channel_reduction=None, topk=-1
        )
        path = args.out_dir / f'{Path(item["data_samples"].img_path).stem}.jpg'
        cv2.imwrite(str(path), cv2.cvtColor(np.hstack([boxes, peaks]), cv2.COLOR_RGB2BGR))
    print(f'{index + 1} images in {args.out_dir}: boxes on the left, heatmaps on the right')


if __name__ == '__main__':
    main()
