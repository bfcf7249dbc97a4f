"""Predicting on what people have: pictures, folders, videos, cameras, one after the other.

An input's text becomes sources (:mod:`.sources`), sources become frames (:mod:`.frames`), a
:class:`~hardnet_mm.inference.predictors.Predictor` makes predictions and drawings of them, a
:class:`~hardnet_mm.inference.results.ResultFolder` stores those, and
:func:`~hardnet_mm.inference.runs.predict_all` leads from one to the next. What a toolbox's
inferencer does is left to it; those hold all frames of a call in memory, and end at the first one
that cannot be read, which this does not.
"""

from .. import needs_mm  # noqa: F401, says what to install
