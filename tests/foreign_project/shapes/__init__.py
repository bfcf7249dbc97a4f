"""A project of somebody else's: it tells squares from circles, and knows nothing of HarDNet."""

from . import dataset, model  # noqa: F401
