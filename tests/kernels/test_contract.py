"""What every backend promises besides the right numbers."""

import dataclasses
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest
from harness.kernels import BackendUnavailable, KernelError, Recipe, backends, check_resized, load
from harness.kernels.contract import MAX_PLANS
from hypothesis import given
from hypothesis import strategies as st

from .images import fill, run

USABLE = [name for name, reason in backends().items() if reason is None]
COMPILED = [name for name in ("numba", "native") if name in USABLE]
SMALL = Recipe(resize=32, crop=24)


@pytest.mark.parametrize("name", USABLE)
def test_an_image_smaller_than_the_crop_is_padded_with_black(name):
    recipe = Recipe(resize=None, crop=24)
    out = run(load(name, recipe), fill((10, 13, 3), "white", 0))
    black, white = (-np.array(recipe.mean) / recipe.std), ((1 - np.array(recipe.mean)) / recipe.std)
    wanted = np.broadcast_to(black[:, None, None], (3, 24, 24)).copy()
    wanted[:, 7:17, 5:18] = white[:, None, None]
    np.testing.assert_allclose(out, wanted, atol=1e-5)


@pytest.mark.parametrize("name", USABLE)
def test_a_batch_holds_what_its_images_give_one_by_one(name):
    backend = load(name, SMALL)
    images = [fill((20 + 9 * i, 50 - 7 * i, 3), "noise", i) for i in range(4)]
    batch = np.full((4, *SMALL.output_shape), np.nan, dtype=np.float32)
    backend.run_batch(images, batch)
    for image, got in zip(images, batch, strict=True):
        np.testing.assert_array_equal(got, run(backend, image))


@pytest.mark.parametrize("name", USABLE)
def test_warm_up_says_how_long_each_part_took(name):
    backend = load(name, SMALL)
    seconds = backend.warm_up()
    assert seconds and all(value >= 0 for value in seconds.values())
    assert backend.effective["threads"] >= 1


@pytest.mark.parametrize("name", USABLE)
@pytest.mark.parametrize(
    ("image", "out"),
    [
        (np.zeros((9, 9, 3), np.float32), np.zeros((3, 24, 24), np.float32)),
        (np.zeros((9, 9, 2), np.uint8), np.zeros((3, 24, 24), np.float32)),
        (np.zeros((9,), np.uint8), np.zeros((3, 24, 24), np.float32)),
        (np.zeros((0, 9, 3), np.uint8), np.zeros((3, 24, 24), np.float32)),
        (np.zeros((9, 18, 3), np.uint8)[:, ::2], np.zeros((3, 24, 24), np.float32)),
        (np.zeros((9, 9, 3), np.uint8)[:, :, ::-1], np.zeros((3, 24, 24), np.float32)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((3, 24, 25), np.float32)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((3, 24, 24), np.float64)),
        (np.zeros((9, 9, 3), np.uint8), np.zeros((24, 24, 3), np.float32).transpose(2, 0, 1)),
    ],
    ids=["float", "2 channels", "1-d", "empty", "columns apart", "BGR view", "out size", "out dtype", "out strides"],
)
def test_what_does_not_fit_is_refused(name, image, out):
    with pytest.raises(KernelError):
        load(name, SMALL).run(image, out)


@pytest.mark.parametrize(
    "wrong",
    [
        {"filter": "nearest"},
        {"layout": "nchw"},
        {"mean": (0.5, 0.5)},
        {"std": (0.2, 0.0, 0.2)},
        {"resize": 0},
        {"crop": (3, -1)},
        {"resize": 256, "max_size": 256},
        {"resize": (256, 256), "max_size": 300},
    ],
    ids=str,
)
def test_a_recipe_that_makes_no_sense_cannot_be_made(wrong):
    with pytest.raises(KernelError):
        Recipe(**wrong)


def test_a_shape_that_depends_on_the_image_is_only_given_for_an_image():
    assert Recipe().output_shape == (3, 224, 224)
    assert Recipe(resize=(30, 40), crop=None, layout="hwc").output_shape == (30, 40, 3)
    assert Recipe(resize=30, crop=None).output_shape_for(60, 90) == (3, 30, 45)
    with pytest.raises(KernelError):
        _ = Recipe(resize=30, crop=None).output_shape


@pytest.mark.parametrize("crop", [None, 5])
def test_a_resize_that_leaves_nothing_is_refused(crop):
    recipe = Recipe(resize=8, crop=crop, max_size=9)
    with pytest.raises(KernelError, match="empty"):
        load(COMPILED[0], recipe).plan(1, 1000)


@pytest.mark.parametrize("name", USABLE)
def test_a_resize_that_makes_far_more_of_an_image_is_refused_before_it_is_made(name):
    backend = load(name, Recipe())
    with pytest.raises(KernelError, match="1x65000 resizes to 256x16640000: empty, or larger than 268435456 pixels"):
        backend.run(np.zeros((65_000, 1, 3), np.uint8), np.empty((3, 224, 224), np.float32))


@given(st.integers(1, 70_000), st.integers(1, 70_000), st.integers(1, 400), st.integers(1, 10**8))
def test_the_limit_of_the_resized_size_is_exact(height, width, resize, limit):
    recipe = Recipe(resize=resize)
    rows, columns = recipe.resized(height, width)
    if rows * columns <= limit:
        check_resized(recipe, height, width, limit)
    else:
        with pytest.raises(KernelError, match=f"{width}x{height} resizes to {columns}x{rows} pixels, more than"):
            check_resized(recipe, height, width, limit)


def test_unknown_and_unusable_backends_are_told_apart():
    with pytest.raises(KernelError, match="not one of"):
        load("cuda", SMALL)
    with pytest.raises(BackendUnavailable, match="lanczos"):
        load("torchvision", dataclasses.replace(SMALL, filter="lanczos"))


def test_asking_which_backends_there_are_imports_none_of_them():
    code = (
        "import sys; from harness.kernels import backends; assert 'numba' in backends();"
        "heavy = {'torch', 'numba', 'torchvision', 'PIL', 'simplejpeg'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", USABLE)
def test_threads_share_a_backend(name):
    backend = load(name, SMALL)
    images = [fill((60 + i, 80 - i, 3), "noise", i) for i in range(6)]
    wanted = [run(backend, image) for image in images]
    wrong = []

    def work(offset):
        out = np.empty(SMALL.output_shape, dtype=np.float32)
        for i in range(60):
            which = (i + offset) % len(images)
            backend.run(images[which], out)
            if not np.array_equal(out, wanted[which]):
                wrong.append(which)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("name", COMPILED)
def test_the_interpreter_goes_on_while_a_kernel_works(name):
    backend = load(name, Recipe(resize=(2500, 2500), crop=None))
    image = fill((1000, 1000, 3), "noise", 0)
    out = np.empty(backend.recipe.output_shape, dtype=np.float32)
    backend.run(image, out)
    stamps, done = [], threading.Event()

    def stamp():
        while not done.is_set():
            stamps.append(time.perf_counter())
            time.sleep(0)

    thread = threading.Thread(target=stamp)
    thread.start()
    calls = []
    for _ in range(5):
        began = time.perf_counter()
        backend.run(image, out)
        calls.append((began, time.perf_counter()))
    done.set()
    thread.join()
    inside = [sum(began + 0.001 < at < ended - 0.001 for at in stamps) for began, ended in calls]
    assert max(inside) > 5


@pytest.mark.parametrize("name", COMPILED)
def test_a_thousand_sizes_neither_grow_memory_nor_compile(name):
    recipe = Recipe()
    backend = load(name, recipe)
    backend.warm_up()
    large = fill((700, 700, 3), "noise", 0)
    out = np.empty(recipe.output_shape, dtype=np.float32)
    rng = np.random.default_rng(0)
    process = psutil.Process()

    def run_sizes(count):
        for height, width in rng.integers(20, 700, (count, 2)):
            backend.run(large[:height, :width], out)

    run_sizes(4 * MAX_PLANS)
    before, compiled = process.memory_info().rss, _compiled_signatures(name)
    run_sizes(1000)
    assert process.memory_info().rss - before < 4 << 20
    assert _compiled_signatures(name) == compiled
    assert len(backend._plans) == MAX_PLANS


def _compiled_signatures(name):
    if name != "numba":
        return 0
    from harness.kernels.numba_kernel import preprocess

    return len(preprocess.signatures)
