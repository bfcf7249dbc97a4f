"""Predictions as the Cityscapes test server takes them."""

from collections.abc import Sequence

from mmseg.evaluation import IoUMetric

from ..registry import METRICS

# The data set's id of each class that is evaluated, in the order of their numbers in training.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


@METRICS.register_module()
class CityscapesLabelIdWriter(IoUMetric):
    """Write the predictions as PNG files of label ids, one an image, and measure nothing.

    mmseg's ``CityscapesMetric`` does it too, where the package cityscapesScripts is installed.

    Args:
        output_dir (str): The folder to write to.
        **kwargs: The other arguments of ``IoUMetric``.
    """

    def __init__(self, output_dir, **kwargs):
        super().__init__(output_dir=output_dir, format_only=True, **kwargs)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Write the predictions of a batch: ``pred_sem_seg``, ``(1, H, W)``, of each."""
        written = []
        for sample in data_samples:
            classes = sample['pred_sem_seg']['data']
            ids = classes.new_tensor(LABEL_IDS)[classes]
            written.append({**sample, 'pred_sem_seg': dict(data=ids)})
        super().process(data_batch, written)
