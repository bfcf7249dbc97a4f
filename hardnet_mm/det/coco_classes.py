"""Fine-tuning on a subset of COCO's classes, with the weights of their class scores."""

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
    """Load the class scores of an SSD from a COCO checkpoint, for a subset of COCO's classes.

    Without this hook the layer of class scores would start from random weights, since its shape
    depends on the number of classes. A checkpoint that has the model's number of classes is not
    changed. lzx1413/PytorchSSD does the same for Pascal VOC (resume_from_coco.py, coco_voc.txt).

    Args:
        classes (str | Sequence[str]): The classes trained on, in the data's order: their names, or
            a data set that mmdet's ``get_classes`` knows. Defaults to 'voc'.
    """

    def __init__(self, classes: str | Sequence[str] = 'voc') -> None:
        self.classes = get_classes(classes) if isinstance(classes, str) else list(classes)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Select the channels in the checkpoint before it is loaded.

        Raises:
            InputError: If a class is not among COCO's.
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
    """Select the weights or biases of an SSD's class scores for some of COCO's classes.

    Args:
        scores (Tensor): Weights or biases for COCO's 80 classes and, last, the background:
            ``(A * 81, ...)`` for A priors per position.
        classes (Sequence[str]): Class names of COCO or Pascal VOC.

    Returns:
        Tensor: ``(A * (len(classes) + 1), ...)``, the background last.

    Raises:
        InputError: If a class is not among COCO's, or the scores have another number of classes.
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
