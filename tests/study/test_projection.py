"""Which pictures a volume becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.errors import MammoError
from mammo_tf.fields import from_json, to_json
from mammo_tf.study import Projection


@given(st.integers(1, 200), st.sampled_from(["mip", "slice"]) | st.integers(1, 50) | st.floats(0.1, 60))
def test_every_frame_is_in_exactly_one_picture(frames: int, asked: str | int | float) -> None:
    if isinstance(asked, str):
        projection = Projection(asked)
    else:
        projection = Projection("slab", *((asked, None) if isinstance(asked, int) else (None, asked)))
    parts = projection.parts(frames, 1.5)
    assert [number for first, count in parts for number in range(first, first + count)] == list(range(1, frames + 1))
    assert from_json(Projection, to_json(projection)) == projection


def test_thickness_in_mm_is_rounded_to_whole_frames() -> None:
    assert Projection("slab", slab_mm=10).parts(25, 1.0) == [(1, 10), (11, 10), (21, 5)]
    assert Projection("slab", slab_mm=2.6).parts(4, 1.0) == [(1, 3), (4, 1)]
    assert Projection("slab", slab_mm=0.1).parts(2, 1.0) == [(1, 1), (2, 1)]
    with pytest.raises(MammoError) as caught:
        Projection("slab", slab_mm=10).parts(25, None)
    assert caught.value.code == "slice_distance_missing"


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "minip"},
        {"name": "slab"},
        {"name": "slab", "slab_slices": 3, "slab_mm": 3.0},
        {"name": "mip", "slab_slices": 3},
        {"name": "slab", "slab_slices": 0},
        {"name": "slab", "slab_mm": float("nan")},
    ],
)
def test_what_is_no_projection_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(MammoError) as caught:
        Projection(**asked)
    assert caught.value.code == "projection_wrong"
