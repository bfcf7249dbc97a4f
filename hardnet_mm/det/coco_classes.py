"""Fine-tuning on some of COCO's classes: their part of the head stays what COCO taught it."""

from collections.abc import Sequence

import torch
from mmdet.evaluation import coco_classes, get_classes
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor

from ..registry import HOOKS
from ..utils.errors import InputError

# Pascal VOC's names of COCO's classes, where they differ.
SYNONYMS = dict(
    aeroplane='airplane',
    diningtable='dining table',
    motorbike='motorcycle',
    pottedplant='potted plant',
    sofa='couch',
    tvmonitor='tv',
)
CLASS_SCORES = 'bbox_head.cls_convs.'


@HOOKS.register_module()
class ClassesFromCOCOHook(Hook):
    """Take from a checkpoint of COCO the class scores of the classes that an SSD is trained on.

    Otherwise they would start from random weights, as their number is another one. A checkpoint of
    the model's own number of classes is left as it is. This is what lzx1413/PytorchSSD does for
    Pascal VOC (resume_from_coco.py, coco_voc.txt).

    Args:
        classes (str | Sequence[str]): The classes trained on, in the data's order: their names, or
            a data set that mmdet's ``get_classes`` knows. Defaults to 'voc'.
    """

    def __init__(self, classes: str | Sequence[str] = 'voc') -> None:
        self.classes = get_classes(classes) if isinstance(classes, str) else list(classes)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Choose the channels, before the tensors are copied.

        Raises:
            InputError: If COCO has not one of the classes.
        """
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        wanted = model.state_dict()
        state = checkpoint.get('state_dict', checkpoint)
        keys = [
            key
            for key in state
            if key.startswith(CLASS_SCORES)
            and key in wanted
            and wanted[key].shape != state[key].shape
        ]
        for key in keys:
            state[key] = choose_classes(state[key], self.classes)


def choose_classes(scores: Tensor, classes: Sequence[str]) -> Tensor:
    """Return the weights or biases of an SSD's class scores for some of COCO's classes.

    Args:
        scores (Tensor): Of COCO's 80 classes and, last, of the background: ``(A * 81, ...)`` for A
            priors of a cell.
        classes (Sequence[str]): Names by COCO or Pascal VOC.

    Returns:
        Tensor: ``(A * (len(classes) + 1), ...)``, the background last.

    Raises:
        InputError: If a class is not COCO's, or the scores are of other classes.
    """
    names = [name.replace('_', ' ') for name in coco_classes()]
    wanted = [SYNONYMS.get(name, name.replace('_', ' ')) for name in classes]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise InputError(f'COCO has no class {unknown}; train without ClassesFromCOCOHook')
    if len(scores) % (len(names) + 1):
        raise InputError(
            f'the checkpoint scores {len(scores)} channels a cell, which are not those of the '
            f'{len(names)} classes of COCO and the background'
        )
    chosen = torch.tensor([*map(names.index, wanted), len(names)])
    return scores.unflatten(0, (-1, len(names) + 1))[:, chosen].flatten(0, 1)
