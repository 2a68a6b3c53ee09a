"""How far each kernel is from the exact result, over sizes, strides, channels, filters and contents."""

import numpy as np
import pytest
from harness.kernels import Recipe, load
from harness.kernels.native_backend import NativeBackend, unavailable_reason
from hypothesis import example
from hypothesis import strategies as st

from tests.kernels import oracle
from tests.kernels.images import cases, contents, fill, run
from tests.properties import holds

LARGEST_ERROR = 0.002
LARGEST_DIFFERENCE_TO_TORCHVISION = 0.001

native_built = pytest.mark.skipif(unavailable_reason() is not None, reason=str(unavailable_reason()))


def portable(recipe):
    return NativeBackend(recipe, simd="portable")


KERNELS = [
    pytest.param(lambda recipe: load("numba", recipe), id="numba"),
    pytest.param(lambda recipe: load("native", recipe), id="native", marks=native_built),
    pytest.param(portable, id="native-portable", marks=native_built),
]


@pytest.mark.parametrize("make", KERNELS)
@holds(40, 150, case=cases())
def test_the_largest_error_stays_below_a_tenth_of_a_grey_level(make, case):
    recipe, image = case
    error = np.abs(run(make(recipe), image) - oracle.preprocess(image, recipe)).max()
    assert error <= LARGEST_ERROR


@pytest.mark.parametrize("make", KERNELS)
@holds(15, 50, case=cases(filters=("box", "lanczos")))
def test_the_other_filters_are_as_exact(make, case):
    recipe, image = case
    assert np.abs(run(make(recipe), image) - oracle.preprocess(image, recipe)).max() <= LARGEST_ERROR


@pytest.mark.parametrize("make", KERNELS)
@holds(6, 25, height=st.integers(200, 1500), width=st.integers(200, 1500), target=st.integers(8, 64), content=contents)
@example(height=1500, width=1400, target=12, content="white")
def test_large_downscales_lose_no_accuracy(make, height, width, target, content):
    recipe = Recipe(target, None)
    image = fill((height, width, 3), content, 1)
    assert np.abs(run(make(recipe), image) - oracle.preprocess(image, recipe)).max() <= LARGEST_ERROR / 4


@pytest.mark.parametrize("make", KERNELS)
@pytest.mark.parametrize("filter_name", ["bilinear", "bicubic"])
@holds(8, 20, height=st.integers(1, 300), width=st.integers(1, 300), content=contents)
def test_torchvisions_float_path_gives_the_same(make, filter_name, height, width, content):
    from harness.kernels.torchvision_import import import_torchvision

    import_torchvision()
    import torch
    from torchvision.transforms.v2 import InterpolationMode, functional

    recipe = Recipe(resize=48, crop=40, filter=filter_name)
    image = fill((height, width, 3), content, 2)
    tensor = torch.from_numpy(image).permute(2, 0, 1).float()
    tensor = functional.resize(tensor, [48], InterpolationMode(filter_name))
    tensor = functional.center_crop(tensor, [40]) / 255.0
    wanted = functional.normalize(tensor, list(recipe.mean), list(recipe.std)).numpy()
    assert np.abs(run(make(recipe), image) - wanted).max() <= LARGEST_DIFFERENCE_TO_TORCHVISION


@pytest.mark.parametrize("name", ["torchvision", "torchvision-pil"])
def test_the_baselines_do_the_same_preprocessing(name):
    recipe = Recipe()
    image = fill((375, 500, 3), "noise", 3)
    error = np.abs(run(load(name, recipe), image) - oracle.preprocess(image, recipe)).max()
    one_grey_level = 1 / (255 * min(recipe.std))
    assert error <= 1.1 * one_grey_level


@native_built
@holds(30, 100, case=cases(filters=("bilinear", "bicubic", "box", "lanczos")))
def test_vector_and_plain_c_agree_to_the_last_bits(case):
    recipe, image = case
    plain, vector = run(portable(recipe), image), run(load("native", recipe), image)
    np.testing.assert_allclose(plain, vector, rtol=0, atol=2e-4)
