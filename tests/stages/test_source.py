"""The images of a run: read and checked once, shared with every worker, each used equally often."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from harness.errors import ScenarioError
from harness.scenario.model import Source
from harness.stages import source
from harness.stages.base import RequestError

SEED = np.random.SeedSequence(1)
PHOTO_SIZES = {
    "astronaut.png": (512, 512),
    "chelsea.png": (300, 451),
    "coffee.png": (400, 600),
    "hubble_deep_field.jpg": (872, 1000),
    "motorcycle_left.png": (500, 741),
    "motorcycle_right.png": (500, 741),
    "retina.jpg": (1411, 1411),
    "rocket.jpg": (427, 640),
}


def load(**options):
    options = {"as": options.pop("form", "raw"), **options}
    return closing(source.load(Source.model_validate(options), SEED))


def decoded(data) -> np.ndarray:
    with Image.open(io.BytesIO(bytes(data))) as image:
        assert image.format == "JPEG"
        return np.asarray(image)


@pytest.fixture
def folder(tmp_path):
    """Two photographs, one of them in a folder below, a file that is cut off, one that is none, and notes."""
    pixels = np.arange(48 * 64 * 3, dtype=np.uint8).reshape(48, 64, 3)
    (tmp_path / "below").mkdir()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    Image.fromarray(pixels).save(tmp_path / "below" / "b.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "below" / "b.jpg").read_bytes()[:500])
    (tmp_path / "none.png").write_bytes(b"no image at all")
    (tmp_path / "notes.txt").write_text("not looked at")
    return tmp_path


# What is read


def test_photos_are_the_eight_photographs_of_scikit_image():
    with load(images="photos") as images:
        assert {e.name: e.shape[:2] for e in images.entries} == PHOTO_SIZES
        assert all(images[i].dtype == np.uint8 and images[i].shape[2] == 3 for i in range(len(images)))
        assert all(images[i].std() > 10 for i in range(len(images)))


def test_encoded_photos_are_jpegs_of_the_same_pictures():
    with load(images="photos") as raw, load(images="photos", form="encoded") as encoded:
        for index in range(8):
            difference = np.abs(decoded(encoded[index]).astype(int) - raw[index])
            assert difference.mean() < 5


@pytest.mark.parametrize("form", ["raw", "encoded"])
def test_photos_are_fitted_to_a_size(form):
    with load(images="photos", form=form, height=48, width=64) as images:
        for index in range(8):
            pixels = images[index] if form == "raw" else decoded(images[index])
            assert pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("form", ["raw", "encoded"])
def test_synthetic_images_have_the_size_and_the_number_asked_for(form):
    with load(images="synthetic", form=form, height=7, width=33, count=3) as images:
        assert len(images) == 3
        for index in range(3):
            pixels = images[index] if form == "raw" else decoded(images[index])
            assert pixels.shape == (7, 33, 3)


def test_synthetic_images_are_seeded():
    options = Source(images="synthetic", height=20, width=30, count=2)
    first, again, other = (source.load(options, np.random.SeedSequence(n)) for n in (1, 1, 2))
    with closing(first), closing(again), closing(other):
        assert (first[0] == again[0]).all()
        assert (first[0] != other[0]).any()
        assert (first[0] != first[1]).any()


def test_synthetic_images_compress_about_as_photographs_do():
    with load(images="synthetic", form="encoded", height=480, width=640) as images:
        assert 0.5 < 8 * images.entries[0].nbytes / (480 * 640) < 4  # bits a pixel


# Folders and patterns


def test_a_folder_is_searched_below_too_and_other_files_are_left_alone(folder):
    with load(images=str(folder)) as images:
        assert [e.name for e in images.entries] == ["a.png", "b.jpg", "cut.jpg", "none.png"]


@pytest.mark.parametrize(
    ("pattern", "names"), [("*.png", ["a.png", "none.png"]), ("**/b.*", ["b.jpg"]), ("a.png", ["a.png"])]
)
def test_a_pattern_or_a_single_file_names_images(folder, pattern, names):
    with load(images=str(folder / pattern)) as images:
        assert [e.name for e in images.entries] == names


@pytest.mark.parametrize("images", ["absent", "absent/*.jpg"])
def test_no_images_at_all_is_an_error(tmp_path, images):
    with pytest.raises(ScenarioError, match=r"source\.images: there are no images at"):
        load(images=str(tmp_path / images))


def test_encoded_files_are_the_bytes_of_the_file(folder):
    with load(images=str(folder / "below"), form="encoded") as images:
        assert bytes(images[0]) == (folder / "below" / "b.jpg").read_bytes()


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_image_becomes_rgb(tmp_path, mode):
    suffix = "tif" if mode in ("CMYK", "I;16") else "png"
    Image.new(mode, (8, 6)).save(tmp_path / f"x.{suffix}")
    with load(images=str(tmp_path)) as images:
        assert images[0].shape == (6, 8, 3)


# What cannot be used


@pytest.mark.parametrize(
    ("index", "reason"), [(2, "cut.jpg: cannot be decoded"), (3, "none.png: cannot be decoded: not an image")]
)
def test_a_corrupt_file_is_an_entry_whose_requests_fail_with_the_reason(folder, index, reason):
    with load(images=str(folder)) as images:
        assert images[0].shape == (48, 64, 3)
        with pytest.raises(RequestError, match=reason):
            images[index]


@pytest.mark.parametrize("form", ["raw", "encoded"])
def test_corrupt_files_only_are_an_error_before_the_run(tmp_path, form):
    for name in ("x.png", "y.jpg"):
        (tmp_path / name).write_bytes(b"no image")
    with pytest.raises(
        ScenarioError, match=r"none of the 2 images can be read\n  x\.png: cannot be decoded: not an image"
    ):
        load(images=str(tmp_path), form=form)


@pytest.mark.parametrize("form", ["raw", "encoded"])
def test_an_image_too_large_is_refused_by_its_header(tmp_path, form, monkeypatch):
    Image.new("1", (12_000, 9_000)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image.Image, "convert", lambda *arguments: pytest.fail("it was decoded"))
    with pytest.raises(ScenarioError, match=r"bomb\.png: the image has 12000x9000 pixels, more than 100,000,000"):
        load(images=str(tmp_path), form=form)


def test_images_beyond_the_memory_that_is_left_are_an_error_and_leave_nothing_open(monkeypatch):
    monkeypatch.setattr(source, "usable_bytes", lambda: 3 * 600 * 800 * 2)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with load(images="synthetic", height=600, width=800, count=2) as images:
        assert images.nbytes == 3 * 600 * 800 * 2
    with pytest.raises(ScenarioError, match=r"images take more than 0\.0 GiB, 60 % of the memory that is left"):
        load(images="synthetic", height=600, width=800, count=3)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize("size", [{}, {"height": 4000, "width": 3000}])
def test_an_image_beyond_the_memory_that_is_left_is_refused_before_it_is_made(tmp_path, monkeypatch, size):
    """A large file is not decoded, and a small one not fitted to a large size."""
    Image.new("L", (64, 48) if size else (4000, 3000)).save(tmp_path / "x.png")
    monkeypatch.setattr(source, "usable_bytes", lambda: 3 * 4000 * 3000 - 1)
    monkeypatch.setattr(Image.Image, "resize" if size else "convert", lambda *_: pytest.fail("it was made"))
    with pytest.raises(ScenarioError, match=r"an image of 12,000,000 pixels takes more than"):
        load(images=str(tmp_path), **size)


def test_images_are_never_in_memory_twice():
    tracemalloc.start()
    try:
        with load(images="synthetic", height=100, width=200, count=100) as images:
            _, peak = tracemalloc.get_traced_memory()
            assert images.nbytes == 100 * 60_032
    finally:
        tracemalloc.stop()
    assert peak < images.nbytes / 4


def test_what_is_no_image_by_its_content_starts_nothing(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    started, program = tmp_path / "started", tmp_path / "gs"
    program.write_text(f"#!/bin/sh\necho $$ > {started}\n")
    program.chmod(0o755)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", str(program))
    Image.new("RGB", (30, 20)).save(tmp_path / "good.png")
    Image.new("RGB", (30, 20)).save(tmp_path / "x.png", "EPS")
    with load(images=str(tmp_path)) as images:
        assert images[0].shape == (20, 30, 3)
        with pytest.raises(RequestError, match=r"x\.png: cannot be decoded: not an image in a known format \(JPEG"):
            images[1]
    assert not started.exists()


# Sharing and choosing

READER = """
import pickle, sys
images = pickle.loads(sys.stdin.buffer.read())
print(images[0].sum(), images[1].sum(), images[0].flags.writeable)
"""


def test_another_process_reads_the_same_pixels_through_the_descriptor_and_cannot_write():
    with load(images="synthetic", height=16, width=16, count=2) as images:
        expected = f"{images[0].sum()} {images[1].sum()} False"
        found = subprocess.run(
            [sys.executable, "-c", READER],
            input=pickle.dumps(source.ImageSet(images.fd, images.nbytes, images.entries)),
            pass_fds=[images.fd],
            capture_output=True,
            check=True,
            cwd=Path(__file__).parents[2],
        )
    assert found.stdout.decode().strip() == expected


def test_nothing_of_the_images_stays_open_or_in_a_file_system():
    descriptors, shm = Path("/proc/self/fd"), Path("/dev/shm")
    before = len(list(descriptors.iterdir()))
    with load(images="synthetic", height=16, width=16):
        assert not [path for path in shm.iterdir() if "harness" in path.name]
    assert len(list(descriptors.iterdir())) == before


@given(st.integers(1, 50), st.integers(0, 500), st.integers(0, 2**32))
def test_every_image_is_used_equally_often(count, requests, number):
    chosen = source.choose(count, requests, np.random.SeedSequence(number))
    assert chosen.shape == (requests,)
    assert chosen.dtype == np.int64
    used = np.bincount(chosen, minlength=count)
    assert used.max() - used.min() <= 1
    assert len(used) == count


def test_the_choice_is_seeded_and_shuffled():
    one, again, two = (source.choose(8, 800, np.random.SeedSequence(n)) for n in (1, 1, 2))
    assert (one == again).all()
    assert (one != two).any()
    assert (one[:8] != one[8:16]).any()
