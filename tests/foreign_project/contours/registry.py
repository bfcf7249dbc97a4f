"""Its registry, which is not told where its classes are."""

from mmengine.registry import MODELS as ROOT
from mmengine.registry import Registry

MODELS = Registry('model', parent=ROOT, scope='contours')
