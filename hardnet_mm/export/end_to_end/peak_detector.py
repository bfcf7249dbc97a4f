"""The end-to-end model of CenterNet, whose head decodes peaks itself."""

import torch

from ..candidates import Candidates, suppressed_by_neighbours
from .instances import set_instances
from .model import EndToEndModel


class EndToEndPeakDetector(EndToEndModel):
    """A detector of peaks, such as CenterNet, as one function of the images.

    The outputs are ``boxes`` (N, K, 4), x1 y1 x2 y2 in pixels, ``scores`` and ``labels`` (N, K),
    best first.

    Args:
        model (nn.Module): A detector whose ``bbox_head`` has ``map_names``, ``output_names``,
            ``decode`` and ``boxes_of``: see :class:`CTHarDNetHead`.
        inside (str): As in :class:`EndToEndModel`.
        classes (Sequence[str], optional): As in :class:`EndToEndModel`.
    """

    def __init__(self, model, inside='nms', classes=None):
        self.raw_names = model.bbox_head.map_names
        self.final_names = model.bbox_head.output_names
        super().__init__(model, inside, classes)

    def network(self, images):
        """Map normalised images to the head's maps."""
        return tuple(levels[0] for levels in self.model(images, mode='tensor'))

    def finish(self, image_size, *maps):
        """Map the maps to the outputs."""
        return self.model.bbox_head.decode(*maps)

    def candidates(self, image_size, heatmap, size, offset):
        """Return the :class:`Candidates` of one image's maps: every position."""
        test_cfg = self.model.bbox_head.test_cfg
        height, width = heatmap.shape[2:]
        positions = torch.arange(height * width, device=heatmap.device)[None]
        (boxes,) = self.model.bbox_head.boxes_of(positions, size, offset)
        decided_by = suppressed_by_neighbours(height, width, test_cfg.local_maximum_kernel)
        scores = heatmap[0].flatten(1)
        margins = torch.full_like(scores, float('inf'))
        limits = (test_cfg.topk, test_cfg.topk)
        return Candidates(boxes, scores, margins, *limits, decided_by, greedy=False)

    def attach(self, outputs, samples):
        """Return the data samples with the predictions of a batch, in the images' own pixels."""
        outputs = self.finished(outputs, samples)
        for index, sample in enumerate(samples):
            set_instances(sample, *(outputs[name][index] for name in self.final_names))
        return samples
