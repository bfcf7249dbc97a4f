"""Predicts on images, folders, videos and cameras.

:mod:`.sources` resolves the command line's inputs to sources, and :mod:`.frames` reads their
frames one at a time. A :class:`~hardnet_mm.inference.predictors.Predictor` predicts on the frames
and draws the predictions. A :class:`~hardnet_mm.inference.results.ResultFolder` stores them.
:func:`~hardnet_mm.inference.runs.predict_all` connects these parts.

The toolboxes' inferencers do the work of a single frame. Alone, they would hold all frames of a
call in memory, and stop at the first one that cannot be read.
"""

from .. import needs_mm  # noqa: F401, says what to install
