"""The published weights, a record a name."""

from dataclasses import dataclass

from ..utils.errors import InputError

SCHEME = 'hardnet://'
HOST = 'https://ping-chao.com/hardnet/'
CLASSIFICATION = 'https://github.com/PingoLH/Pytorch-HarDNet'
SSD = 'https://github.com/lzx1413/PytorchSSD'
CENTERNET = 'https://github.com/PingoLH/CenterNet-HarDNet'
SEGMENTATION = 'https://github.com/PingoLH/FCHarDNet'


@dataclass(frozen=True)
class PublishedWeights:
    """A file that an original program published, and what its authors say of it.

    Attributes:
        address (str): Where it is downloaded from. A hash in the file's name is checked.
        architecture (str): The HarDNet variant inside, a name of
            :data:`hardnet_mm.backbones.architectures.ARCHITECTURES`.
        task (str): As mm's metafiles call it.
        source (str): The repository of the program that the file belongs to.
        data (str): The data set that it was trained on. Defaults to 'ImageNet-1k'.
        split (str, optional): What the published figures were measured on. Defaults to None: of
            weights to start from, none are published.
        metrics (dict[str, float], optional): The published figures, in per cent, by the names that
            mm's metafiles use. Defaults to None.
        input_size (tuple[int, int], optional): Height and width that they were measured at.
            Defaults to None.
        config (str, optional): The config that builds the model. Defaults to None: a part of a
            model.
    """

    address: str
    architecture: str
    task: str
    source: str
    data: str = 'ImageNet-1k'
    split: str | None = None
    metrics: dict | None = None
    input_size: tuple | None = None
    config: str | None = None

    @property
    def file(self) -> str:
        """The file's name."""
        return self.address.rpartition('/')[2]


def _classifier(arch, file, top1, top5):
    return PublishedWeights(
        HOST + file,
        arch,
        'Image Classification',
        CLASSIFICATION,
        split='val',
        metrics={'Top 1 Accuracy': top1, 'Top 5 Accuracy': top5},
        input_size=(224, 224),
        config=f'{arch}_imagenet',
    )


def _detector(arch, file, source, config=None, size=512, **metrics):
    return PublishedWeights(
        HOST + file,
        arch,
        'Object Detection',
        source,
        data='COCO',
        split='test-dev' if metrics else None,
        metrics={'box AP': metrics['ap']} if metrics else None,
        input_size=(size, size),
        config=config,
    )


WEIGHTS = dict(
    hardnet39ds=_classifier('hardnet39ds', 'hardnet39ds-0e6c6fa9.pth', 72.1, 90.43),
    hardnet68ds=_classifier('hardnet68ds', 'hardnet68ds-632474d2.pth', 74.3, 91.87),
    hardnet68=_classifier('hardnet68', 'hardnet68-5d684880.pth', 76.5, 93.01),
    hardnet85=_classifier('hardnet85', 'hardnet85-a28faa00.pth', 78.0, 93.89),
    # What the detectors start from: ImageNet's, with SSD's bridge in the one of HarDNet68.
    hardnet68_base_bridge=PublishedWeights(
        HOST + 'hardnet68_base_bridge.pth', 'hardnet68', 'Image Classification', SSD
    ),
    hardnet85_base=PublishedWeights(
        HOST + 'hardnet85_base.pth', 'hardnet85', 'Image Classification', SSD
    ),
    ssd512_hardnet68_coco=_detector(
        'hardnet68', 'SSD512_HarDNet68_COCO.pth', SSD, 'ssd512_hardnet68_coco', ap=31.7
    ),
    ssd512_hardnet85_coco=_detector(
        'hardnet85', 'SSD512_HarDNet85_COCO.pth', SSD, 'ssd512_hardnet85_coco', ap=35.1
    ),
    centernet_hardnet85_coco=_detector(
        'hardnet85', 'centernet_hardnet85_coco.pth', CENTERNET, 'centernet_hardnet85_coco', ap=44.3
    ),
    centernet_hardnet85_coco_608=_detector(
        'hardnet85', 'centernet_hardnet85_coco_608.pth', CENTERNET, size=608
    ),
    fchardnet70_cityscapes=PublishedWeights(
        HOST + 'hardnet70_cityscapes_model.pkl',
        'fchardnet70',
        'Semantic Segmentation',
        SEGMENTATION,
        data='Cityscapes',
        split='val',
        metrics={'mIoU': 77.7},
        input_size=(1024, 2048),
        config='fchardnet70_cityscapes',
    ),
    hardnet_petite_base=PublishedWeights(
        'https://github.com/PingoLH/FCHarDNet/raw/master/weights/hardnet_petite_base.pth',
        'fchardnet70',
        'Image Classification',
        SEGMENTATION,
    ),
)


def get_weights(name: str) -> PublishedWeights:
    """Return the record of a name, with or without ``hardnet://``.

    Raises:
        InputError: If nothing was published by that name.
    """
    name = name.removeprefix(SCHEME)
    if name not in WEIGHTS:
        raise InputError(f'no published weights {name!r}: allowed are {list(WEIGHTS)}')
    return WEIGHTS[name]
