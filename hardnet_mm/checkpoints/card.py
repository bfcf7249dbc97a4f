"""Hugging Face's model card of a converted file, and its ``config.json``."""

import json
from dataclasses import dataclass
from typing import Any

from ..backbones.architectures import ARCHITECTURES
from .published import PublishedWeights

PAPER = 'https://arxiv.org/abs/1909.00948'
# For each task of mm's metafiles: Hugging Face's name of the task, and names of its metrics.
PIPELINES = {
    'Image Classification': 'image-classification',
    'Object Detection': 'object-detection',
    'Semantic Segmentation': 'image-segmentation',
}
METRIC_TYPES = {'box AP': 'mean_average_precision', 'mIoU': 'mean_iou'}
DATASETS = {'ImageNet-1k': 'imagenet-1k', 'COCO': 'coco', 'Cityscapes': 'cityscapes'}
CITATION = """@inproceedings{chao2019hardnet,
  title = {{HarDNet}: A Low Memory Traffic Network},
  author = {Chao, Ping and Kao, Chao-Yang and Ruan, Yu-Shan and Huang, Chien-Hsiang and
            Lin, Youn-Long},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision},
  pages = {3552--3561},
  year = {2019}
}"""


def timm_settings(input_size: tuple[int, int]) -> dict:
    """Return how a classifier takes images and where its layers are, under timm's names.

    Args:
        input_size (tuple[int, int]): Height and width in pixels.
    """
    return dict(
        input_size=(3, *input_size),
        pool_size=tuple(side // 32 for side in input_size),
        crop_pct=0.875,
        interpolation='bilinear',
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        first_conv='stem.0.conv',
        classifier='head.fc',
    )


@dataclass(frozen=True)
class Card:
    """The facts about a converted file.

    Attributes:
        name (str): Name of the model.
        weights (PublishedWeights): The published record, or the user's own statements.
        file (str): Name of the file.
        license (str): SPDX name of the licence.
        num_classes (int): Number of classes of a classifier. Defaults to 0: the file has no linear
            layer.
    """

    name: str
    weights: PublishedWeights
    file: str
    license: str
    num_classes: int = 0

    @property
    def is_for_timm(self) -> bool:
        """Whether timm can load the file, which must be a complete classifier."""
        return self.num_classes > 0

    def front_matter(self) -> dict:
        """Return the fields of the card, under Hugging Face's names."""
        weights, pipeline = self.weights, PIPELINES[self.weights.task]
        fields: dict[str, Any] = dict(
            license=self.license.lower(),
            library_name='timm' if self.is_for_timm else 'hardnet_mm',
            pipeline_tag=pipeline,
            tags=['hardnet', weights.architecture, 'pytorch'],
            datasets=[DATASETS.get(weights.data, weights.data)],
        )
        results = [
            dict(
                task=dict(type=pipeline),
                dataset=dict(name=weights.data, type=fields['datasets'][0], split=split),
                metrics=[
                    dict(type=METRIC_TYPES.get(name, 'accuracy'), name=name, value=value)
                    for name, value in metrics.items()
                ],
            )
            for split, metrics in self._splits()
        ]
        if results:
            fields['model-index'] = [dict(name=self.name, results=results)]
        return fields

    def text(self) -> str:
        """Return the text of ``README.md``."""
        import yaml

        weights = self.weights
        size = ' x '.join(map(str, weights.input_size or ()))
        rows = [
            f'| {name} | {value} | {weights.data} {split} | {size} |'
            for split, metrics in self._splits()
            for name, value in metrics.items()
        ]
        header = ['| metric | per cent | data and split | height x width |', '|---|---|---|---|']
        parts = [
            '---\n' + yaml.safe_dump(self.front_matter(), sort_keys=False) + '---',
            f'# {self.name}',
            f'{weights.task} by [HarDNet]({PAPER}) ({weights.architecture}), trained on '
            f'{weights.data}.',
            '\n'.join([*header, *rows]) if rows else 'No figures of these weights are published.',
            *self._origin(),
            '## Use',
            self._use(),
            '## Licence',
            f'{self.license}. The data has terms of its own.',
            '## Citation',
            f'```bibtex\n{CITATION}\n```',
        ]
        return '\n\n'.join(parts) + '\n'

    def config(self) -> str:
        """Return ``config.json``: timm's for a classifier, otherwise with the config's name."""
        weights = self.weights
        if not self.is_for_timm:
            model = dict(architecture=weights.architecture, task=weights.task)
            if weights.config:
                model['config'] = f'hardnet_mm::{weights.config}.py'
            return json.dumps(model, indent=2) + '\n'
        pretrained = dict(
            timm_settings(weights.input_size or (224, 224)),
            tag=None,
            num_classes=self.num_classes,
            license=self.license.lower(),
        )
        fields = dict(
            architecture=weights.architecture,
            num_classes=self.num_classes,
            pretrained_cfg=pretrained,
        )
        return json.dumps(fields, indent=2) + '\n'

    def _splits(self):
        """Return pairs of a split and its published metrics."""
        weights = self.weights
        first = [(weights.split or 'unknown', weights.metrics)] if weights.metrics else []
        return [*first, *(weights.other_splits or {}).items()]

    def _origin(self):
        """Yield lines about the origin of published weights."""
        weights = self.weights
        if weights.addresses:
            yield (
                f'These are the weights of [{weights.address.rpartition("/")[2]}]'
                f'({weights.address}), of [{weights.source.rpartition("/")[2]}]({weights.source}), '
                'under the parameter names of hardnet_mm. The figures are those that their authors '
                'state.'
            )

    def _use(self):
        weights = self.weights
        if self.is_for_timm:
            lines = [
                'import timm',
                'import hardnet_mm.timm  # it registers the architecture',
                '',
                "model = timm.create_model('local-dir:FOLDER', pretrained=True)  # of these files",
            ]
        elif weights.architecture in ARCHITECTURES:
            lines = [
                'from hardnet_mm import create_model',
                '',
                'backbone = create_model(',
                f"    '{weights.architecture}', pretrained='{self.file}', features_only=True",
                ')',
            ]
        else:
            lines = [
                'from hardnet_mm.backbones import HarDNetV2',
                'from hardnet_mm.checkpoints.reading import read_checkpoint',
                '',
                'backbone = HarDNetV2()',
                f"backbone.load_state_dict(read_checkpoint('{self.file}')['state_dict'])",
            ]
        parts = ['\n'.join(['```python', *lines, '```'])]
        if weights.config:
            parts.append(
                f'With the toolboxes of OpenMMLab, `{self.file}` is a checkpoint of the config '
                f'`hardnet_mm::{weights.config}.py`.'
            )
        return '\n\n'.join(parts)
