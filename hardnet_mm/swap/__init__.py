from .. import needs_mm  # noqa: F401, says what to install
