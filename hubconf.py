"""HarDNet by torch.hub: ``torch.hub.load('OWNER/hardnet_mm', 'hardnet68', pretrained=True)``.

Nothing of OpenMMLab is needed.
"""

from hardnet_mm.standalone import create_model as _create_model

dependencies = ['torch', 'numpy', 'filelock', 'rich']


def hardnet39ds(pretrained=False, **kwargs):
    """HarDNet39DS, as hardnet_mm.create_model makes it; pretrained loads ImageNet's weights."""
    return _create_model('hardnet39ds', pretrained=pretrained, **kwargs)


def hardnet68ds(pretrained=False, **kwargs):
    """HarDNet68DS, as hardnet_mm.create_model makes it; pretrained loads ImageNet's weights."""
    return _create_model('hardnet68ds', pretrained=pretrained, **kwargs)


def hardnet68(pretrained=False, **kwargs):
    """HarDNet68, as hardnet_mm.create_model makes it; pretrained loads ImageNet's weights."""
    return _create_model('hardnet68', pretrained=pretrained, **kwargs)


def hardnet85(pretrained=False, **kwargs):
    """HarDNet85, as hardnet_mm.create_model makes it; pretrained loads ImageNet's weights."""
    return _create_model('hardnet85', pretrained=pretrained, **kwargs)
