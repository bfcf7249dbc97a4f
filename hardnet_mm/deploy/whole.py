"""A whole model as one function of the images as they are read: to be exported.

Images come as ``(N, 3, H, W)`` float32, 0..255, BGR as OpenCV reads them, at the size that the
model is tested at. Normalisation is inside; so is what follows the network, as far as a file format
can hold it: ``'nms'`` all of it, ``'decode'`` all but NMS, ``'network'`` nothing. The rest is done
by :meth:`WholeModel.attach`, on the outputs as NumPy arrays.
"""

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from torch import nn
from torchvision.ops import batched_nms


class WholeModel(nn.Module):
    """Normalisation, network, and outputs by name.

    Args:
        model (nn.Module): The model, as :func:`to_deploy` returns it.
        inside (str): What is inside: 'nms', 'decode' or 'network'. Defaults to 'nms'.

    Attributes:
        names (tuple[str]): Names of the outputs, in their order.
        any_size (bool): Whether height and width are free.
    """

    any_size = True

    def __init__(self, model, inside='nms'):
        super().__init__()
        self.model = model
        if inside == 'network':
            self.names = self.raw_names
        preprocessor = model.data_preprocessor
        self.swap = bool(
            getattr(preprocessor, 'to_rgb', False)
            or getattr(preprocessor, '_channel_conversion', False)
            or getattr(preprocessor, 'channel_conversion', False)
        )
        normalized = getattr(preprocessor, '_enable_normalize', True)
        mean = preprocessor.mean if normalized else torch.zeros(3, 1, 1)
        std = preprocessor.std if normalized else torch.ones(3, 1, 1)
        # whole numbers in a config are integers here, which ncnn would read as floats
        self.register_buffer('mean', mean.detach().float())
        self.register_buffer('std', std.detach().float())

    def forward(self, images):
        """Map images ``(N, 3, H, W)`` to a tuple of outputs."""
        if self.swap:
            images = images.flip(1)
        outputs = self.network((images - self.mean) / self.std)
        return outputs if self.names == self.raw_names else self.finish(*outputs)

    def finished(self, outputs):
        """Return the outputs of a file, arrays by name, with what the file does not hold done."""
        if set(outputs) != set(self.raw_names) or self.raw_names == type(self).names:
            return outputs
        outputs = self.finish(*(torch.from_numpy(outputs[name]) for name in self.raw_names))
        return {name: output.numpy() for name, output in zip(type(self).names, outputs)}


class WholeClassifier(WholeModel):
    """``scores`` (N, classes), which sum to one."""

    names = raw_names = ('scores',)

    def network(self, images):
        """Map normalised images to the outputs."""
        return (self.model(images, mode='tensor').softmax(dim=1),)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch."""
        for sample, scores in zip(samples, torch.from_numpy(outputs['scores'])):
            sample.set_pred_score(scores).set_pred_label(scores.argmax().view(1))
        return samples


class WholeSegmentor(WholeModel):
    """``labels`` (N, H * scale, W * scale) int64, the classes of the pixels.

    Args:
        model (nn.Module): The model.
        inside (str): As of :class:`WholeModel`.
        scale (float): The images' own size by the tested one: a label map is wanted at their own.
            Defaults to 1.
    """

    names, raw_names = ('labels',), ('logits',)

    def __init__(self, model, inside='nms', scale=1.0):
        super().__init__(model, inside)
        self.scale = scale

    def network(self, images):
        """Map normalised images to logits at their size."""
        return (self.model.encode_decode(images, [dict(img_shape=images.shape[2:])]),)

    def finish(self, logits):
        """Map logits to the outputs."""
        if self.scale != 1:
            align = self.model.align_corners
            logits = nn.functional.interpolate(
                logits, scale_factor=self.scale, mode='bilinear', align_corners=align
            )
        return (logits.argmax(dim=1),)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, at the images' own size."""
        if 'logits' in outputs:  # what follows them is done here, whatever was exported for
            self.scale = samples[0].ori_shape[1] / samples[0].img_shape[1]
        maps = torch.from_numpy(self.finished(outputs)['labels'].astype(np.int64))
        for sample, labels in zip(samples, maps):
            if tuple(labels.shape) != tuple(sample.ori_shape):  # another scale than exported for
                labels = nn.functional.interpolate(labels[None, None].float(), sample.ori_shape)
                labels = labels[0, 0].long()
            sample.pred_sem_seg = PixelData(data=labels[None])
        return samples


class WholeCenterNet(WholeModel):
    """``boxes`` (N, K, 4), x1 y1 x2 y2 in pixels, ``scores`` and ``labels`` (N, K), best first."""

    names = ('boxes', 'scores', 'labels')
    raw_names = ('heatmap', 'size', 'offset')

    def network(self, images):
        """Map normalised images to the maps of :class:`CTHarDNetHead`."""
        return tuple(maps[0] for maps in self.model(images, mode='tensor'))

    def finish(self, heatmap, size, offset):
        """Map the maps to the outputs."""
        head, test_cfg = self.model.bbox_head, self.model.bbox_head.test_cfg
        kernel = test_cfg.local_maximum_kernel
        peaks = nn.functional.max_pool2d(heatmap, kernel, stride=1, padding=kernel // 2)
        heatmap = heatmap * (peaks == heatmap).to(heatmap)
        width, cells = heatmap.shape[3], heatmap.shape[2] * heatmap.shape[3]
        scores, index = heatmap.flatten(1).topk(test_cfg.topk, dim=1)
        labels = torch.div(index, cells, rounding_mode='floor')
        index = index - labels * cells
        row = torch.div(index, width, rounding_mode='floor')
        cell = torch.stack([index - row * width, row], dim=1)
        index = index[:, None].expand(-1, 2, -1)
        center = cell + offset.flatten(2).gather(2, index)
        half = size.clamp(min=0).flatten(2).gather(2, index) / 2
        boxes = torch.cat([center - half, center + half], dim=1).transpose(1, 2) * head.stride
        return boxes, scores, labels

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        outputs = self.finished(outputs)
        for index, sample in enumerate(samples):
            set_instances(sample, *(outputs[name][index] for name in type(self).names))
        return samples


class WholeSSD(WholeModel):
    """Detections, or, without NMS, the boxes and scores of all priors.

    With NMS: ``detections`` (M, 7), each the image's number, class, score, x1 y1 x2 y2 in pixels;
    boxes of one class do not overlap, and a class has at most ``max_per_class``. Decoded only:
    ``boxes`` (N, priors, 4) and ``scores`` (N, classes, priors). The network alone: ``logits`` and
    ``deltas`` of each level, numbered.

    Args:
        model (nn.Module): The model.
        inside (str): As of :class:`WholeModel`.
    """

    names = ('detections',)
    any_size = False

    def __init__(self, model, inside='nms'):
        levels = range(len(model.bbox_head.prior_generator.strides))
        self.raw_names = tuple(f'{part}{i}' for part in ('logits', 'deltas') for i in levels)
        super().__init__(model, inside)
        if inside == 'decode':
            self.names = ('boxes', 'scores')
        test_cfg = model.bbox_head.test_cfg
        self.score_thr, self.max_per_img = test_cfg.score_thr, test_cfg.max_per_img
        self.iou_threshold = test_cfg.nms.iou_threshold
        self.max_per_class = test_cfg.get('max_per_class', self.max_per_img)

    def network(self, images):
        """Map normalised images to the maps of mmdet's ``SSDHead``, level by level."""
        logits, deltas = self.model(images, mode='tensor')
        return (*logits, *deltas)

    def finish(self, *maps):
        """Map the maps to the outputs; see mmdet's ``AnchorHead``."""
        head = self.model.bbox_head
        sizes = [level.shape[-2:] for level in maps[: len(maps) // 2]]
        priors = torch.cat(head.prior_generator.grid_priors(sizes, device=maps[0].device))
        logits, deltas = (
            torch.cat([level.permute(0, 2, 3, 1).flatten(1) for level in part], 1)
            for part in (maps[: len(maps) // 2], maps[len(maps) // 2 :])
        )
        batch = maps[0].shape[0]  # not len(): a tracer would take it for a constant
        scores = logits.reshape(batch, -1, head.cls_out_channels).softmax(dim=2)[..., :-1]
        scores = scores.transpose(1, 2)
        priors = priors.expand(batch, -1, -1).reshape(-1, 4)
        boxes = head.bbox_coder.decode(priors, deltas.reshape(-1, 4)).reshape(batch, -1, 4)
        return (
            (boxes, scores) if self.names == ('boxes', 'scores') else self.suppress(boxes, scores)
        )

    def suppress(self, boxes, scores):
        """Map all priors' boxes and scores to the detections."""
        limits = (self.max_per_class, self.iou_threshold, self.score_thr)
        image, label, box = NonMaxSuppression.apply(boxes, scores, *limits).unbind(1)
        chosen = torch.stack([image.to(boxes), label.to(boxes), scores[image, label, box]], dim=1)
        return (torch.cat([chosen, boxes[image, box]], dim=1),)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        outputs = self.finished(outputs)
        if 'boxes' in outputs:
            parts = (torch.from_numpy(outputs[name]) for name in ('boxes', 'scores'))
            outputs = dict(detections=self.suppress(*parts)[0].numpy())
        for index, sample in enumerate(samples):
            rows = outputs['detections']
            rows = rows[rows[:, 0] == index]
            rows = rows[np.argsort(-rows[:, 2], kind='stable')][: self.max_per_img]
            set_instances(sample, rows[:, 3:], rows[:, 2], rows[:, 1].astype(np.int64))
        return samples


class NonMaxSuppression(torch.autograd.Function):
    """ONNX's operator of that name, here computed by torchvision."""

    @staticmethod
    def forward(ctx, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the boxes that stay, ``(M, 3)`` int64: image, class, number of the box."""
        kept = [torch.zeros(0, 3, dtype=torch.int64)]
        for image in range(len(boxes)):
            label, box = (scores[image] > score_thr).nonzero(as_tuple=True)
            best = batched_nms(boxes[image, box], scores[image, label, box], label, iou_threshold)
            for number in label.unique():
                of_class = best[label[best] == number][:max_per_class]
                where = (torch.full_like(of_class, image), label[of_class], box[of_class])
                kept.append(torch.stack(where, dim=1))
        return torch.cat(kept)

    @staticmethod
    def symbolic(g, boxes, scores, max_per_class, iou_threshold, score_thr):
        """Return the ONNX node."""
        limits = (torch.tensor([limit]) for limit in (max_per_class, iou_threshold, score_thr))
        constants = (g.op('Constant', value_t=limit) for limit in limits)
        return g.op('NonMaxSuppression', boxes, scores, *constants)


def set_instances(sample, boxes, scores, labels):
    """Set a sample's predictions, their boxes scaled from the tested image to its own size."""
    boxes = torch.from_numpy(np.ascontiguousarray(boxes))
    scale = boxes.new_tensor(sample.get('scale_factor', (1.0, 1.0))).repeat(2)
    sample.pred_instances = InstanceData(
        bboxes=boxes / scale,
        scores=torch.from_numpy(np.ascontiguousarray(scores)),
        labels=torch.from_numpy(np.ascontiguousarray(labels).astype(np.int64)),
    )


def as_whole(model, inside='nms', scale=1.0):
    """Return a model of this plugin's kinds as one function.

    Args:
        model (nn.Module): A classifier, a segmentor, a CenterNet or an SSD.
        inside (str): As of :class:`WholeModel`. Defaults to 'nms'.
        scale (float): As of :class:`WholeSegmentor`. Defaults to 1.

    Raises:
        ValueError: If it is another kind.
    """
    head = type(getattr(model, 'bbox_head', None)).__name__
    if head == 'CTHarDNetHead':
        return WholeCenterNet(model, inside)
    if head == 'HarDNetSSDHead':
        return WholeSSD(model, inside)
    if hasattr(model, 'decode_head'):
        return WholeSegmentor(model, inside, scale)
    if type(model).__name__ == 'ImageClassifier':
        return WholeClassifier(model, inside)
    raise ValueError(
        f'{type(model).__name__} cannot be exported: allowed are an ImageClassifier, an '
        'EncoderDecoder, and the detectors with a CTHarDNetHead or HarDNetSSDHead'
    )
