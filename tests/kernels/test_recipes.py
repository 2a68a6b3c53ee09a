"""`preprocess: auto`."""

import pytest
from harness.kernels import KernelError, Recipe
from harness.kernels.recipes import recipe_for


@pytest.mark.parametrize(
    ("model", "weights", "recipe"),
    [
        ("resnet18", None, Recipe(256, 224)),
        ("resnet50", None, Recipe(232, 224)),
        ("resnet50", "IMAGENET1K_V1", Recipe(256, 224)),
        ("efficientnet_b0", None, Recipe(256, 224, filter="bicubic")),
        ("inception_v3", None, Recipe(342, 299)),
    ],
)
def test_the_recipe_is_that_of_the_weights(model, weights, recipe):
    assert recipe_for(model, weights) == recipe


@pytest.mark.parametrize(
    ("model", "weights"), [("resnet19", None), ("resnet18", "IMAGENET22K"), ("fcn_resnet50", None)]
)
def test_models_without_such_a_recipe_are_refused(model, weights):
    with pytest.raises(KernelError):
        recipe_for(model, weights)
