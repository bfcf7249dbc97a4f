"""Every kind predicts as its model, whatever is inside."""

import pytest
from helpers.exported import (
    MODELS,
    assert_predicts_as,
    deployed,
    in_pytorch,
    item,
    items,
    random_images,
)


@pytest.mark.parametrize('name', MODELS)
@pytest.mark.parametrize('inside', ['nms', 'decode', 'network'])
def test_an_end_to_end_model_predicts_as_the_model(models, name, inside):
    model, cfg = models(name)
    end_to_end = deployed(model, inside)
    assert_predicts_as(model, (end_to_end, in_pytorch(end_to_end)), items(cfg, random_images(2)))


def test_a_preprocessor_that_pads_is_refused(models):
    model, cfg = models('centernet_hardnet')
    end_to_end = deployed(model)
    entry = item(cfg, random_images(1, (100, 96))[0])
    end_to_end.check_input(entry)
    end_to_end.model.data_preprocessor.pad_size_divisor = 32
    with pytest.raises(ValueError, match='pads an image of 100 x 96 to 128 x 96'):
        end_to_end.check_input(entry)
    end_to_end.check_input(item(cfg, random_images()[0]))
    end_to_end.std = 2 * end_to_end.std
    with pytest.raises(ValueError, match='DetDataPreprocessor, changes images otherwise'):
        end_to_end.check_input(item(cfg, random_images()[0]))
