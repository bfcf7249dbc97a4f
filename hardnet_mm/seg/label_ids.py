"""Predictions in the format of the Cityscapes test server."""

from collections.abc import Sequence

from mmseg.evaluation import IoUMetric

from ..registry import METRICS

# The data set's id of each evaluated class, in the order of the training indices.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


@METRICS.register_module()
class CityscapesLabelIdWriter(IoUMetric):
    """Write the prediction of each image as a PNG file of label ids; compute no metric.

    mmseg's ``CityscapesMetric`` does the same, but needs the package cityscapesScripts.

    Args:
        output_dir (str): The folder to write to.
        **kwargs: The other arguments of ``IoUMetric``.
    """

    def __init__(self, output_dir, **kwargs):
        super().__init__(output_dir=output_dir, format_only=True, **kwargs)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the predictions of a batch, each ``pred_sem_seg`` of ``(1, H, W)``."""
        written = []
        for sample in data_samples:
            classes = sample['pred_sem_seg']['data']
            ids = classes.new_tensor(LABEL_IDS)[classes]
            written.append({**sample, 'pred_sem_seg': dict(data=ids)})
        super().process(data_batch, written)
