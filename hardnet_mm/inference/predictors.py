"""Predictors of each task: they predict, draw predictions, and convert them for storing."""

from abc import ABC, abstractmethod

import numpy as np
import torch

from ..utils.errors import InputError

BEST_CLASSES = 5  # number of a classifier's classes that are stored
SMALLEST_DRAWN = 224  # shortest side, in pixels, of an image on which a class is written


class Predictor(ABC):
    """Predicts with a model by the inferencer of its toolbox.

    What is stored of a prediction is a label map or a list of dicts. A subclass therefore has one
    more method: ``label_map`` if ``has_label_maps``, otherwise ``entries``.

    Args:
        model (Model): As of :func:`~hardnet_mm.inference.models.load_model`.
        score_thr (float, optional): Minimum score of predictions that are drawn and stored.
            Defaults to None: ``usual_score_thr``.
        classes (Sequence[str], optional): Names of the classes that are drawn and stored. Defaults
            to None: all.

    Attributes:
        usual_score_thr (float): The default of ``score_thr``.
        has_label_maps (bool): Whether a prediction is a label map, with a class for each pixel.
        category_ids (list[int]): A number for each class, used in the stored results.

    Raises:
        InputError: If the model does not have one of the classes.
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
        """Return the indices of classes, None for all."""
        if classes is None:
            return None
        unknown = [name for name in classes if name not in self.model.classes]
        if unknown:
            raise InputError(f'no class {unknown}: the model has {self.model.classes}')
        return sorted(self.model.classes.index(name) for name in classes)

    @abstractmethod
    def make_inferencer(self):
        """Return an inferencer of the toolbox that uses the model."""

    def prepare(self, image):
        """Prepare an image by the test pipeline of the model's config.

        Args:
            image (ndarray): ``(H, W, 3)`` uint8, BGR.

        Returns:
            dict: ``inputs``, a tensor ``(3, H', W')``, and ``data_samples``, a data sample.
        """
        (batch,) = self.inferencer.preprocess([image], batch_size=1)
        batch = batch[1] if isinstance(batch, (list, tuple)) else batch  # mmdet adds the image
        return dict(inputs=batch['inputs'][0], data_samples=batch['data_samples'][0])

    def predict(self, items):
        """Predict on a batch.

        Args:
            items (list[dict]): As of :meth:`prepare`. All inputs have the same shape.

        Returns:
            list[BaseDataElement]: Data samples of the toolbox, on the CPU, reduced by
            :meth:`keep`.
        """
        batch = {key: [item[key] for item in items] for key in ('inputs', 'data_samples')}
        return [self.keep(sample.cpu()) for sample in self.inferencer.forward(batch)]

    @abstractmethod
    def keep(self, sample):
        """Remove predictions of low score, or of classes the user did not ask for."""

    @abstractmethod
    def draw(self, image, sample):
        """Draw a prediction.

        Args:
            image (ndarray): ``(H, W, 3)`` uint8, BGR.
            sample (BaseDataElement): The prediction.

        Returns:
            ndarray: The drawn image, uint8, BGR.
        """

    def probability_map(self, sample):
        """Return the probability of the foreground, ``(H, W)`` uint8, where 255 is certain.

        None for models with other classes than background and one foreground, and for exported
        files, which only return labels.
        """
        return None

    @abstractmethod
    def rows(self, sample):
        """Return a prediction for display: pairs of a class and a number, best first."""


class Detector(Predictor):
    """Predicts boxes, and masks if the model has them, stored in COCO's result format."""

    usual_score_thr = 0.3

    def __init__(self, model, score_thr=None, classes=None):
        super().__init__(model, score_thr, classes)
        self.category_ids = coco_ids(model.classes)

    def make_inferencer(self):
        """Return mmdet's inferencer, using the model."""
        from mmdet.apis import DetInferencer

        return _around(DetInferencer, self.model)

    def keep(self, sample):
        """Remove instances of low score, or of classes the user did not ask for."""
        instances = sample.pred_instances
        kept = instances.scores >= self.score_thr
        if self.labels is not None:
            kept &= torch.isin(instances.labels, torch.tensor(self.labels))
        sample.pred_instances = instances[kept]
        return sample

    def draw(self, image, sample):
        """Draw boxes and masks on an image ``(H, W, 3)``, BGR."""
        rgb, options = image[..., ::-1], dict(return_vis=True, pred_score_thr=-1)
        return self.inferencer.visualize([rgb], [sample], **options)[0][..., ::-1]

    def entries(self, sample):
        """Return instances in COCO's result format: boxes as x, y, width, height in pixels."""
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
        """Return the class and the score of each instance, the highest score first."""
        instances = sample.pred_instances
        best = instances.scores.argsort(descending=True).tolist()
        classes, scores = instances.labels.tolist(), instances.scores.tolist()
        return [[self.model.classes[classes[i]], round(scores[i], 3)] for i in best]


class Segmentor(Predictor):
    """Predicts label maps, whose values are the indices of the classes.

    Attributes:
        map_type (type): uint8, or uint16 for over 255 classes. Its largest value is the label of
            the pixels of classes that the user did not ask for.
    """

    has_label_maps = True

    def __init__(self, model, score_thr=None, classes=None):
        if score_thr is not None:
            raise InputError('a segmentor decides pixel by pixel: it has no least score')
        super().__init__(model, score_thr, classes)
        self.map_type = np.uint8 if len(model.classes) <= np.iinfo(np.uint8).max else np.uint16

    def make_inferencer(self):
        """Return mmseg's inferencer, using the model."""
        from mmseg.apis import MMSegInferencer

        return _around(
            MMSegInferencer, self.model, classes=self.model.classes, palette=self.model.palette
        )

    def keep(self, sample):
        """Set pixels of classes that the user did not ask for to the largest value of a map."""
        if self.labels is not None:
            pixels = sample.pred_sem_seg.data
            kept = torch.isin(pixels, torch.tensor(self.labels))
            sample.pred_sem_seg.data = torch.where(kept, pixels, np.iinfo(self.map_type).max)
        return sample

    def draw(self, image, sample):
        """Draw the colours of the classes, half transparent, on an image ``(H, W, 3)``, BGR.

        The classes' names are not drawn: mmseg takes seconds to place them.
        """
        rgb, options = image[..., ::-1], dict(return_vis=True, opacity=0.5, with_labels=False)
        drawn = self.inferencer.visualize([rgb], [sample], **options)[0][..., ::-1]
        kept = sample.pred_sem_seg.data[0].numpy() < len(self.model.classes)
        return np.where(kept[..., None], drawn, image)

    def label_map(self, sample):
        """Return the class of each pixel, ``(H, W)``, of ``map_type``."""
        return sample.pred_sem_seg.data[0].numpy().astype(self.map_type)

    def probability_map(self, sample):
        """Return the probability of the foreground, if the model has one channel."""
        if getattr(self.model.built, 'out_channels', None) != 1 or 'seg_logits' not in sample:
            return None
        return (255 * sample.seg_logits.data[0]).round().byte().numpy()

    def rows(self, sample):
        """Return the predicted classes and their shares of the pixels, the largest first."""
        labels, counts = np.unique(self.label_map(sample), return_counts=True)
        shares = sorted(zip(-counts / counts.sum(), labels))
        names = self.model.classes
        return [[names[i], round(-share, 3)] for share, i in shares if i < len(names)]


class Classifier(Predictor):
    """Predicts the best classes and their scores."""

    def make_inferencer(self):
        """Return mmpretrain's inferencer, using the model."""
        from mmpretrain import ImageClassificationInferencer
        from mmpretrain.visualization import UniversalVisualizer

        built = self.model.built
        built._config, built._dataset_meta = self.model.cfg, dict(classes=self.model.classes)
        inferencer = ImageClassificationInferencer(built, pretrained=False)
        inferencer.visualizer = UniversalVisualizer()
        return inferencer

    def keep(self, sample):
        """Set scores of classes that the user did not ask for to 0, and update the best class."""
        if self.labels is not None:
            kept = torch.zeros_like(sample.pred_score)
            kept[self.labels] = sample.pred_score[self.labels]
            best = max(self.labels, key=lambda label: kept[label].item())
            sample.set_pred_score(kept).set_pred_label(best)
        return sample

    def draw(self, image, sample):
        """Write the best class and its score on an image ``(H, W, 3)``, BGR.

        A small image is enlarged.
        """
        return self.inferencer.visualizer.visualize_cls(
            np.ascontiguousarray(image[..., ::-1]),
            sample,
            classes=self.model.classes,
            resize=max(SMALLEST_DRAWN, min(image.shape[:2])),
            draw_gt=False,
        )[..., ::-1]

    def entries(self, sample):
        """Return one dict: the best ``classes``, their ``labels`` and ``scores``, best first."""
        scores = sample.pred_score
        labels = range(len(scores)) if self.labels is None else self.labels
        best = sorted(labels, key=lambda label: -scores[label].item())[:BEST_CLASSES]
        best = [label for label in best if scores[label] >= self.score_thr]
        names = [self.model.classes[label] for label in best]
        return [dict(classes=names, labels=best, scores=[scores[label].item() for label in best])]

    def rows(self, sample):
        """Return the best classes and their scores, the highest score first."""
        (entry,) = self.entries(sample)
        return [[name, round(score, 3)] for name, score in zip(entry['classes'], entry['scores'])]


PREDICTORS = dict(mmdet=Detector, mmseg=Segmentor, mmpretrain=Classifier)


def make_predictor(model, score_thr=None, classes=None):
    """Return the predictor of a model's toolbox.

    Args:
        model (Model): As of :class:`Predictor`.
        score_thr (float, optional): As of :class:`Predictor`. Defaults to None.
        classes (Sequence[str], optional): As of :class:`Predictor`. Defaults to None.

    Raises:
        InputError: If the model does not have one of the classes, or if a minimum score is given
            for a segmentor.
    """
    return PREDICTORS[model.cfg.default_scope](model, score_thr, classes)


def _around(inferencer, model, **kwargs):
    """Return an inferencer that uses an existing model, where mmengine's would build a new one."""
    model.built.dataset_meta = dict(classes=model.classes, palette=model.palette)
    model.network.dataset_meta = model.built.dataset_meta
    made = type(inferencer.__name__, (inferencer,), dict(_init_model=lambda *_: model.built))
    cfg = model.cfg.copy()
    cfg.visualizer.pop('vis_backends', None)
    return made(cfg, **kwargs)


def coco_ids(classes):
    """Return a category id for each class: COCO's ids for COCO's classes, else 1, 2 and so on."""
    from mmdet.datasets import CocoDataset

    if tuple(classes) != CocoDataset.METAINFO['classes']:
        return list(range(1, len(classes) + 1))
    missing = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}  # ids that COCO announced and never used
    return [number for number in range(1, 91) if number not in missing]
