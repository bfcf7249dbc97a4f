"""What a model makes of frames: predictions, drawn images, and what is stored of them, by task."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from mmengine.utils import import_modules_from_strings

from ..utils.errors import InputError

BEST_CLASSES = 5  # of a classifier that are stored
LEFT_OUT = 255  # the label of pixels whose class was not asked for
SMALLEST_DRAWN = 224  # the short side of what a class is written on


class Predictor(ABC):
    """A model, by the inferencer of its toolbox.

    Args:
        model (Model): Of :func:`~hardnet_mm.inference.models.load_model`.
        score_thr (float, optional): Least score of what is drawn and stored. Defaults to None: as
            the task has it.
        classes (Sequence[str], optional): Names of those that are drawn and stored. Defaults to
            None: all.

    Attributes:
        usual_score_thr (float): What ``score_thr`` is where it is not given.
        has_label_maps (bool): Whether a prediction is a class for each pixel.
        category_ids (list[int]): What classes are called in the stored results.

    Raises:
        InputError: If the model has no such class.
    """

    usual_score_thr, has_label_maps = 0.0, False

    def __init__(self, model, score_thr=None, classes=None):
        self.model = model
        self.score_thr = self.usual_score_thr if score_thr is None else score_thr
        self.labels = self._labels(classes)
        self.category_ids = list(range(len(model.classes)))
        self.inferencer = self.make_inferencer()
        self.inferencer.model = model.network

    def _labels(self, classes):
        """Return the numbers of classes, or None for all."""
        if classes is None:
            return None
        unknown = [name for name in classes if name not in self.model.classes]
        if unknown:
            raise InputError(f'no class {unknown}: the model has {self.model.classes}')
        return sorted(self.model.classes.index(name) for name in classes)

    @abstractmethod
    def make_inferencer(self):
        """Return the toolbox's inferencer around the model."""

    def prepare(self, image):
        """Return an image ``(H, W, 3)`` uint8, BGR, as the test pipeline prepares it.

        Returns:
            dict: ``inputs``, a tensor, and ``data_samples``, its data sample.
        """
        (batch,) = self.inferencer.preprocess([image], batch_size=1)
        batch = batch[1] if isinstance(batch, (list, tuple)) else batch  # mmdet's has the image too
        return dict(inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])

    def predict(self, items):
        """Return the predictions of a batch.

        Args:
            items (list[dict]): Of :meth:`prepare`, their inputs of one shape.

        Returns:
            list[BaseDataElement]: The toolbox's data samples, on the CPU, with what was asked for.
        """
        batch = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
        return [self.keep(sample.cpu()) for sample in self.inferencer.forward(batch)]

    @abstractmethod
    def keep(self, sample):
        """Return a data sample without the scores and classes that were not asked for."""

    @abstractmethod
    def draw(self, image, sample):
        """Return an image ``(H, W, 3)`` uint8, BGR, with its prediction on it."""

    def entries(self, sample):
        """Return what is stored of a prediction as JSON, a list of dicts."""
        raise NotImplementedError

    def label_map(self, sample):
        """Return the classes of the pixels, ``(H, W)``, of a model that has label maps."""
        raise NotImplementedError

    def probability_map(self, sample):
        """Return how likely pixels are foreground, ``(H, W)`` uint8, 255 for sure.

        None of a model that has other than a background and one foreground, and of an exported
        file, which gives labels alone.
        """
        return None

    @abstractmethod
    def rows(self, sample):
        """Return what a person is told, a list of class and score, the best first."""


class Detector(Predictor):
    """Boxes, and masks where the model has some, as COCO's results."""

    usual_score_thr = 0.3

    def __init__(self, model, score_thr=None, classes=None):
        super().__init__(model, score_thr, classes)
        self.category_ids = coco_ids(model.classes)

    def make_inferencer(self):
        """Return mmdet's inferencer around the model."""
        from mmdet.apis import DetInferencer

        return _around(DetInferencer, self.model)

    def keep(self, sample):
        """Return a data sample without the instances that were not asked for."""
        instances = sample.pred_instances
        kept = instances.scores >= self.score_thr
        if self.labels is not None:
            kept &= torch.isin(instances.labels, torch.tensor(self.labels))
        sample.pred_instances = instances[kept]
        return sample

    def draw(self, image, sample):
        """Return the image with the instances that are left."""
        rgb, options = image[..., ::-1], dict(return_vis=True, pred_score_thr=-1)
        return self.inferencer.visualize([rgb], [sample], **options)[0][..., ::-1]

    def entries(self, sample):
        """Return COCO's results, boxes as x, y, width, height in pixels."""
        found = self.inferencer.pred2dict(sample)
        entries = []
        for index, (label, score) in enumerate(zip(found['labels'], found['scores'])):
            left, top, right, bottom = found['bboxes'][index]
            entry = dict(category_id=self.category_ids[label], score=score)
            entry['bbox'] = [left, top, right - left, bottom - top]
            if 'masks' in found:
                entry['segmentation'] = found['masks'][index]
            entries.append(entry)
        return entries

    def rows(self, sample):
        """Return the class and the score of each instance."""
        instances = sample.pred_instances
        best = instances.scores.argsort(descending=True).tolist()
        classes, scores = instances.labels.tolist(), instances.scores.tolist()
        return [[self.model.classes[classes[i]], round(scores[i], 3)] for i in best]


class Segmentor(Predictor):
    """Label maps, by the numbers of the classes."""

    has_label_maps = True

    def __init__(self, model, score_thr=None, classes=None):
        if score_thr is not None:
            raise InputError('a segmentor decides pixel by pixel: it has no least score')
        super().__init__(model, score_thr, classes)

    def make_inferencer(self):
        """Return mmseg's inferencer around the model."""
        from mmseg.apis import MMSegInferencer

        return _around(
            MMSegInferencer, self.model, classes=self.model.classes, palette=self.model.palette
        )

    def keep(self, sample):
        """Return a data sample whose other pixels are 255."""
        if self.labels is not None:
            pixels = sample.pred_sem_seg.data
            kept = torch.isin(pixels, torch.tensor(self.labels))
            sample.pred_sem_seg.data = torch.where(kept, pixels, LEFT_OUT)
        return sample

    def draw(self, image, sample):
        """Return the image with the colours of the classes, half transparent.

        The names are left out: mmseg takes seconds to find places for them.
        """
        rgb, options = image[..., ::-1], dict(return_vis=True, opacity=0.5, with_labels=False)
        drawn = self.inferencer.visualize([rgb], [sample], **options)[0][..., ::-1]
        kept = sample.pred_sem_seg.data[0].numpy() < len(self.model.classes)
        return np.where(kept[..., None], drawn, image)

    def label_map(self, sample):
        """Return the classes of the pixels."""
        labels = sample.pred_sem_seg.data[0].numpy()
        return labels.astype(np.uint8 if len(self.model.classes) <= LEFT_OUT else np.uint16)

    def probability_map(self, sample):
        """Return how likely pixels are foreground, where the model has one channel."""
        if getattr(self.model.built, 'out_channels', None) != 1 or 'seg_logits' not in sample:
            return None
        return (255 * sample.seg_logits.data[0]).round().byte().numpy()

    def rows(self, sample):
        """Return each class, and its share of the pixels."""
        labels, counts = np.unique(self.label_map(sample), return_counts=True)
        shares = sorted(zip(-counts / counts.sum(), labels))
        names = self.model.classes
        return [[names[i], round(-share, 3)] for share, i in shares if i < len(names)]


class Classifier(Predictor):
    """The best classes, and their scores."""

    def make_inferencer(self):
        """Return mmpretrain's inferencer around the model."""
        from mmpretrain import ImageClassificationInferencer
        from mmpretrain.visualization import UniversalVisualizer

        built = self.model.built
        built._config, built._dataset_meta = self.model.cfg, dict(classes=self.model.classes)
        inferencer = ImageClassificationInferencer(built, pretrained=False)
        inferencer.visualizer = UniversalVisualizer()
        return inferencer

    def keep(self, sample):
        """Return a data sample whose other classes have a score of 0, and are not the best."""
        if self.labels is not None:
            kept = torch.zeros_like(sample.pred_score)
            kept[self.labels] = sample.pred_score[self.labels]
            best = max(self.labels, key=lambda label: kept[label].item())
            sample.set_pred_score(kept).set_pred_label(best)
        return sample

    def draw(self, image, sample):
        """Return the image, enlarged if it is small, with its best class and the score."""
        return self.inferencer.visualizer.visualize_cls(
            np.ascontiguousarray(image[..., ::-1]),
            sample,
            classes=self.model.classes,
            resize=max(SMALLEST_DRAWN, min(image.shape[:2])),
            draw_gt=False,
        )[..., ::-1]

    def entries(self, sample):
        """Return the best classes and their scores, the best first."""
        scores = sample.pred_score
        labels = range(len(scores)) if self.labels is None else self.labels
        best = sorted(labels, key=lambda label: -scores[label].item())[:BEST_CLASSES]
        best = [label for label in best if scores[label] >= self.score_thr]
        names = [self.model.classes[label] for label in best]
        return [dict(classes=names, labels=best, scores=[scores[label].item() for label in best])]

    def rows(self, sample):
        """Return the best classes and their scores."""
        (entry,) = self.entries(sample)
        return [[name, round(score, 3)] for name, score in zip(entry['classes'], entry['scores'])]


PREDICTORS = dict(mmdet=Detector, mmseg=Segmentor, mmpretrain=Classifier)


def make_predictor(model, score_thr=None, classes=None):
    """Return the predictor of a model's toolbox; for the arguments see :class:`Predictor`."""
    return PREDICTORS[model.cfg.default_scope](model, score_thr, classes)


def _around(inferencer, model, **kwargs):
    """Return an inferencer of mmengine's kind around a model, which it would build again."""
    model.built.dataset_meta = dict(classes=model.classes, palette=model.palette)
    model.network.dataset_meta = model.built.dataset_meta
    made = type(inferencer.__name__, (inferencer,), dict(_init_model=lambda *_: model.built))
    cfg = model.cfg.copy()
    cfg.visualizer.pop('vis_backends', None)
    return made(cfg, **kwargs)


def coco_ids(classes):
    """Return what COCO calls classes: its own by their ids, any other ones from 1 on."""
    own = import_modules_from_strings('mmdet.evaluation').get_classes('coco')
    if list(classes) != list(own):
        return list(range(1, len(classes) + 1))
    missing = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # were announced, and never annotated
    return [number for number in range(1, 91) if number not in missing]
