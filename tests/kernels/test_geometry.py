"""Sizes, offsets and weights against torchvision's own functions and the oracle."""

import numpy as np
import pytest
from harness.kernels.geometry import FILTERS, make_axis, make_geometry, resized_size
from harness.kernels.segments import SEGMENT, row_segments
from hypothesis import given, settings
from hypothesis import strategies as st

from . import oracle

lengths = st.integers(1, 5000)


@pytest.fixture(scope="module")
def torchvision_geometry():
    from harness.kernels.torchvision_import import import_torchvision

    import_torchvision()
    from torchvision.transforms.v2.functional import _geometry

    return _geometry


@given(height=lengths, width=lengths, short=st.integers(1, 600), more=st.none() | st.integers(1, 900))
def test_sizes_round_as_torchvision_rounds_them(torchvision_geometry, height, width, short, more):
    max_size = None if more is None else short + more
    wanted = torchvision_geometry._compute_resized_output_size((height, width), [short], max_size)
    assert list(resized_size(height, width, short, max_size)) == wanted


@given(height=st.integers(1, 40), width=st.integers(1, 40), crop=st.tuples(st.integers(1, 40), st.integers(1, 40)))
def test_crops_and_padding_lie_where_torchvision_puts_them(torchvision_geometry, height, width, crop):
    import torch

    image = np.arange(1, height * width + 1).reshape(1, height, width)
    wanted = torchvision_geometry.center_crop_image(torch.from_numpy(image), list(crop))[0].numpy()
    geometry = make_geometry(height, width, (height, width), crop, "bilinear")
    rows, columns = geometry.rows.starts, geometry.columns.starts
    got = np.zeros(crop, dtype=int)
    got[geometry.top : geometry.top + len(rows), geometry.left : geometry.left + len(columns)] = image[0][
        np.ix_(rows, columns)
    ]
    np.testing.assert_array_equal(got, wanted)


def dense(axis, source, weights=None):
    matrix = np.zeros((len(axis.starts), source))
    for i, start in enumerate(axis.starts):
        matrix[i, start : start + axis.taps] = (axis.weights if weights is None else weights)[i]
    return matrix


@given(source=st.integers(1, 900), resized=st.integers(1, 200), filter_name=st.sampled_from(sorted(FILTERS)))
@settings(deadline=None)
def test_weights_are_the_oracles_and_stay_inside_the_source(source, resized, filter_name):
    axis = make_axis(source, resized, 0, resized, filter_name)
    np.testing.assert_allclose(dense(axis, source), oracle.weight_matrix(source, resized, filter_name), atol=1e-12)
    assert axis.starts.min() >= 0
    assert axis.starts.max() + axis.taps <= source
    assert (axis.first, axis.stop) == (axis.starts.min(), axis.starts.max() + axis.taps)


@given(source=st.integers(1, 3000), resized=st.integers(1, 60), data=st.data())
@settings(deadline=None)
def test_segments_spell_out_the_same_weights(source, resized, data):
    resized = min(resized, source)
    begin = data.draw(st.integers(0, resized - 1))
    end = data.draw(st.integers(begin + 1, resized))
    axis = make_axis(source, resized, begin, end, "bilinear")
    if axis.taps == 1:
        return
    spans, segments = row_segments(axis, 1.0)
    assert segments.dtype == SEGMENT
    matrix = np.zeros((end - begin, source))
    for span in range(end - begin + 1):
        for segment in segments[spans[span] : spans[span + 1]]:
            steps = np.arange(segment["count"])
            rows = segment["first"] + steps
            if span > 0:
                matrix[span - 1, rows] += segment["upper"] + steps * segment["upper_slope"]
            if span < end - begin:
                matrix[span, rows] += segment["lower"] + steps * segment["lower_slope"]
    np.testing.assert_allclose(matrix, dense(axis, source), atol=2e-6)
