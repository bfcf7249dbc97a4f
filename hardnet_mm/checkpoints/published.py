"""The published weights, a record a name."""

from dataclasses import dataclass

from ..utils.errors import InputError

SCHEME = 'hardnet://'
HOST = 'https://ping-chao.com/hardnet/'
PADDLE_HOST = 'https://bj.bcebos.com/paddleseg/dygraph/cityscapes/'
CLASSIFICATION = 'https://github.com/PingoLH/Pytorch-HarDNet'
SSD = 'https://github.com/lzx1413/PytorchSSD'
CENTERNET = 'https://github.com/PingoLH/CenterNet-HarDNet'
SEGMENTATION = 'https://github.com/PingoLH/FCHarDNet'
PADDLE_SEGMENTATION = 'https://github.com/PaddlePaddle/PaddleSeg'
# Of the repositories, by SPDX's names. Of the files they publish, none states another.
LICENSES = {
    CLASSIFICATION: 'MIT',
    SSD: 'MIT',
    CENTERNET: 'MIT',
    SEGMENTATION: 'MIT',
    PADDLE_SEGMENTATION: 'Apache-2.0',
}
IN_REPOSITORY = '{}/raw/master/{}'  # a file that a repository holds


@dataclass(frozen=True)
class PublishedWeights:
    """A file that an original program published, and what its authors say of it.

    Attributes:
        addresses (tuple[str]): Where it is downloaded from, tried in order. A hash in the file's
            name is checked, wherever the file comes from.
        architecture (str): The HarDNet variant inside, a name of
            :data:`hardnet_mm.backbones.architectures.ARCHITECTURES`.
        task (str): As mm's metafiles call it.
        source (str): The repository of the program that the file belongs to.
        data (str): The data set that it was trained on. Defaults to 'ImageNet-1k'.
        split (str, optional): What the published figures were measured on. Defaults to None: of
            weights to start from, none are published.
        metrics (dict[str, float], optional): The published figures, in per cent, by the names that
            mm's metafiles use. Defaults to None.
        other_splits (dict[str, dict], optional): Figures published of other splits, by the split.
            Defaults to None.
        input_size (tuple[int, int], optional): Height and width that they were measured at.
            Defaults to None.
        config (str, optional): The config that builds the model. Defaults to None: a part of a
            model.
        stored_as (str, optional): The file's name on this machine. Defaults to None: that in the
            first address.
    """

    addresses: tuple
    architecture: str
    task: str
    source: str
    data: str = 'ImageNet-1k'
    split: str | None = None
    metrics: dict | None = None
    input_size: tuple | None = None
    config: str | None = None
    stored_as: str | None = None
    other_splits: dict | None = None

    @property
    def address(self) -> str:
        """The first address: where the authors say that the file is."""
        return self.addresses[0]

    @property
    def license(self) -> str:
        """The licence of the repository that the file belongs to."""
        return LICENSES[self.source]

    @property
    def file(self) -> str:
        """The file's name on this machine, and on a mirror."""
        return self.stored_as or self.address.rpartition('/')[2]


def _classifier(arch, file, top1, top5, in_repository=True):
    addresses = [HOST + file]
    if in_repository:
        addresses.append(IN_REPOSITORY.format(CLASSIFICATION, f'{arch}.pth'))
    return PublishedWeights(
        tuple(addresses),
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
        (HOST + file,),
        arch,
        'Object Detection',
        source,
        data='COCO',
        split='test-dev' if metrics else None,
        metrics={'box AP': metrics['ap']} if metrics else None,
        other_splits={'val': {'box AP': metrics['val']}} if 'val' in metrics else None,
        input_size=(size, size),
        config=config,
    )


def _segmentor(file, miou):
    return PublishedWeights(
        (HOST + file,),
        'fchardnet70',
        'Semantic Segmentation',
        SEGMENTATION,
        data='Cityscapes',
        split='val',
        metrics={'mIoU': miou},
        input_size=(1024, 2048),
        config='fchardnet70_cityscapes',
    )


def _base(arch, source, *addresses):
    """ImageNet's weights as a program starts from them, without a classifier."""
    return PublishedWeights(addresses, arch, 'Image Classification', source)


WEIGHTS = dict(
    hardnet39ds=_classifier('hardnet39ds', 'hardnet39ds-0e6c6fa9.pth', 72.1, 90.43),
    hardnet68ds=_classifier('hardnet68ds', 'hardnet68ds-632474d2.pth', 74.3, 91.87),
    hardnet68=_classifier('hardnet68', 'hardnet68-5d684880.pth', 76.5, 93.01),
    hardnet85=_classifier('hardnet85', 'hardnet85-a28faa00.pth', 78.0, 93.89, in_repository=False),
    # What the detectors start from: SSD's and RFBNet's of HarDNet68 has their bridge, CenterNet's
    # has not.
    hardnet68_base_bridge=_base('hardnet68', SSD, HOST + 'hardnet68_base_bridge.pth'),
    hardnet68_base=_base(
        'hardnet68', CENTERNET, IN_REPOSITORY.format(CENTERNET, 'src/hardnet68_base.pth')
    ),
    hardnet85_base=_base(
        'hardnet85',
        SSD,
        HOST + 'hardnet85_base.pth',
        IN_REPOSITORY.format(CENTERNET, 'src/hardnet85_base.pth'),
    ),
    ssd512_hardnet68_coco=_detector(
        'hardnet68', 'SSD512_HarDNet68_COCO.pth', SSD, 'ssd512_hardnet68_coco', ap=31.7
    ),
    ssd512_hardnet85_coco=_detector(
        'hardnet85', 'SSD512_HarDNet85_COCO.pth', SSD, 'ssd512_hardnet85_coco', ap=35.1
    ),
    rfb512_hardnet68_coco=_detector(
        'hardnet68', 'RFB512_HarDNet68_COCO.pth', SSD, 'rfb512_hardnet68_coco', ap=33.9
    ),
    rfb512_hardnet85_coco=_detector(
        'hardnet85', 'RFB512_HarDNet85_COCO.pth', SSD, 'rfb512_hardnet85_coco', ap=36.8
    ),
    centernet_hardnet85_coco=_detector(
        'hardnet85',
        'centernet_hardnet85_coco.pth',
        CENTERNET,
        'centernet_hardnet85_coco',
        ap=44.3,
        val=44.3,
    ),
    centernet_hardnet85_coco_608=_detector(
        'hardnet85',
        'centernet_hardnet85_coco_608.pth',
        CENTERNET,
        'centernet_hardnet85_608_coco',
        size=608,
        ap=45.3,
        val=44.9,
    ),
    # the file of 512, tested at 416
    centernet_hardnet85_coco_416=_detector(
        'hardnet85',
        'centernet_hardnet85_coco.pth',
        CENTERNET,
        'centernet_hardnet85_416_coco',
        size=416,
        ap=42.4,
        val=42.4,
    ),
    fchardnet70_cityscapes=_segmentor('hardnet70_cityscapes_model.pkl', 77.7),
    # trained with colour jitter, besides
    fchardnet70_cityscapes_2=_segmentor('hardnet70_cityscapes_model_2.pkl', 77.4),
    # another network of that name, from random weights
    fchardnet70_paddle_cityscapes=PublishedWeights(
        (PADDLE_HOST + 'hardnet_cityscapes_1024x1024_160k/model.pdparams',),
        'fchardnet70_paddle',
        'Semantic Segmentation',
        PADDLE_SEGMENTATION,
        data='Cityscapes',
        split='val',
        metrics={'mIoU': 79.03},
        input_size=(1024, 2048),
        config='fchardnet70-paddle_cityscapes',
        stored_as='fchardnet70-paddle_cityscapes.pdparams',
    ),
    hardnet_petite_base=_base(
        'fchardnet70',
        SEGMENTATION,
        IN_REPOSITORY.format(SEGMENTATION, 'weights/hardnet_petite_base.pth'),
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
