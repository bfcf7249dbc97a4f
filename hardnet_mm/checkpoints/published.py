"""The published weights, with one record per name."""

from dataclasses import dataclass

from ..utils.errors import InputError

SCHEME = 'hardnet://'
HOST = 'https://ping-chao.com/hardnet/'
HUGGING_FACE = 'https://huggingface.co/kytimmylai/DFUS-HarDNet/resolve/main/'
PADDLE_HOST = 'https://bj.bcebos.com/paddleseg/dygraph/cityscapes/'
CLASSIFICATION = 'https://github.com/PingoLH/Pytorch-HarDNet'
SSD = 'https://github.com/lzx1413/PytorchSSD'
CENTERNET = 'https://github.com/PingoLH/CenterNet-HarDNet'
SEGMENTATION = 'https://github.com/PingoLH/FCHarDNet'
DFUS = 'https://github.com/kytimmylai/DFUC2022'
PADDLE_SEGMENTATION = 'https://github.com/PaddlePaddle/PaddleSeg'
# SPDX names of the repositories' licences. None of the published files states another licence.
LICENSES = {
    CLASSIFICATION: 'MIT',
    SSD: 'MIT',
    CENTERNET: 'MIT',
    SEGMENTATION: 'MIT',
    DFUS: 'MIT',
    PADDLE_SEGMENTATION: 'Apache-2.0',
}
IN_REPOSITORY = '{}/raw/master/{}'  # a file that a repository holds


@dataclass(frozen=True)
class PublishedWeights:
    """A file that the authors of an original program published, with their figures.

    Attributes:
        addresses (tuple[str]): Addresses to download from, tried in order. If the file's name
            contains a hash, it is checked for every address.
        architecture (str): The HarDNet variant, a name of
            :data:`hardnet_mm.backbones.architectures.ARCHITECTURES` or ``ARCHITECTURES_V2``.
        task (str): The task, as mm's metafiles name it.
        source (str): Address of the original program's repository.
        data (str): The data set that the model was trained on. Defaults to 'ImageNet-1k'.
        split (str, optional): The split that ``metrics`` were measured on. Defaults to None, for
            weights without published figures.
        metrics (dict[str, float], optional): The published figures, in per cent, under the names
            of mm's metafiles. Defaults to None.
        input_size (tuple[int, int], optional): Height and width, in pixels, that ``metrics`` were
            measured at. Defaults to None.
        config (str, optional): Name of the config that builds the model. Defaults to None, for
            weights of a part of a model.
        stored_as (str, optional): The file's name on this machine. Defaults to None: the name in
            the first address.
        other_splits (dict[str, dict], optional): Published figures on other splits, by split.
            Defaults to None.
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
        """The first address, which the authors give."""
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


def _detector(arch, file, source, config, ap, val=None, size=512):
    return PublishedWeights(
        (HOST + file,),
        arch,
        'Object Detection',
        source,
        data='COCO',
        split='test-dev',
        metrics={'box AP': ap},
        other_splits=None if val is None else {'val': {'box AP': val}},
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
    """ImageNet weights from which a program's training starts."""
    return PublishedWeights(addresses, arch, 'Image Classification', source)


WEIGHTS = dict(
    hardnet39ds=_classifier('hardnet39ds', 'hardnet39ds-0e6c6fa9.pth', 72.1, 90.43),
    hardnet68ds=_classifier('hardnet68ds', 'hardnet68ds-632474d2.pth', 74.3, 91.87),
    hardnet68=_classifier('hardnet68', 'hardnet68-5d684880.pth', 76.5, 93.01),
    hardnet85=_classifier('hardnet85', 'hardnet85-a28faa00.pth', 78.0, 93.89, in_repository=False),
    # Initial weights of the detectors. HarDNet68's for SSD and RFBNet include their bridge,
    # CenterNet's do not.
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
    # the file of 512 x 512, tested at 416 x 416
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
    # also trained with colour jitter
    fchardnet70_cityscapes_2=_segmentor('hardnet70_cityscapes_model_2.pkl', 77.4),
    # another network of the same name, trained from random weights
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
    # a classifier's file, of whose accuracy nothing is said; HarDNet-DFUS starts from it
    hardnetv2_53=_base('hardnetv2_53', DFUS, HUGGING_FACE + 'DFUC/kingnet53.pth'),
)


def get_weights(name: str) -> PublishedWeights:
    """Return the record of a name.

    Args:
        name (str): A name of :data:`WEIGHTS`, with or without ``hardnet://``.

    Raises:
        InputError: If no weights have that name. The message lists those that exist.

    Examples:
        >>> weights = get_weights('hardnet://hardnet68')
        >>> weights.file, weights.metrics['Top 1 Accuracy']
        ('hardnet68-5d684880.pth', 76.5)
    """
    name = name.removeprefix(SCHEME)
    if name not in WEIGHTS:
        raise InputError(f'no published weights {name!r}: allowed are {list(WEIGHTS)}')
    return WEIGHTS[name]
