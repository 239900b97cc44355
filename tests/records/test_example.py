"""A prepared image as bytes, and as what a worker says of it."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.records.example import PreparedImage, _pack, decode, encode


def image_of(seed: int, rows: int, columns: int, findings: int, breast: bool) -> PreparedImage:
    rng = np.random.default_rng(seed)
    return PreparedImage(
        picture=rng.integers(0, 65536, (rows, columns), dtype=np.uint16),
        breast_mask=rng.random((rows, columns)) < 0.5 if breast else None,
        finding_masks=rng.random((findings, rows, columns)) < 0.2,
        affine=rng.normal(size=(2, 3)),
        row={"image_id": "ä", "label": "", "age": None, "findings": "[]"},
        stored_size=(rows * 2, columns * 2),
        warnings=("something",),
        fingerprint="00ff",
    )


IMAGES = st.builds(
    image_of, st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3), st.booleans()
)


def same(one: PreparedImage, other: PreparedImage, left_out: tuple[str, ...] = ()) -> bool:
    pairs = [(getattr(one, key), getattr(other, key)) for key in vars(one) if key not in left_out]
    return all(
        first.dtype == second.dtype and np.array_equal(first, second)
        if isinstance(first, np.ndarray)
        else first == second and type(first) is type(second)
        for first, second in pairs
    )


@given(IMAGES)
@settings(max_examples=50, deadline=None)
def test_what_a_worker_says_comes_whole(image: PreparedImage) -> None:
    assert same(image, pickle.loads(pickle.dumps(image)))  # noqa: S301


def test_masks_travel_packed() -> None:
    image = image_of(0, 400, 300, 2, True)
    masks = np.zeros_like(image.finding_masks)
    plain = PreparedImage(**vars(image) | {"finding_masks": masks, "breast_mask": masks[0]})
    assert len(pickle.dumps(plain)) < image.picture.nbytes + 2000


@pytest.mark.parametrize("tiled", [False, True])
@given(image=IMAGES)
@settings(max_examples=25, deadline=None)
def test_bytes_are_those_of_features_that_are_made_one_by_one(tiled: bool, image: PreparedImage) -> None:
    from tensorflow import train

    def of_bytes(value: bytes) -> object:
        return train.Feature(bytes_list=train.BytesList(value=[value]))

    def of_numbers(*values: int) -> object:
        return train.Feature(int64_list=train.Int64List(value=values))

    features = {
        "affine": of_bytes(image.affine.astype("<f8").tobytes()),
        "picture": of_bytes(b"" if tiled else image.picture.astype("<u2").tobytes()),
        "shape": of_numbers(*image.picture.shape),
        "breast_mask": of_bytes(b"" if image.breast_mask is None else _pack(image.breast_mask)),
        "finding_masks": of_bytes(_pack(image.finding_masks)),
        "findings": of_numbers(len(image.finding_masks)),
        "stored_size": of_numbers(*image.stored_size),
        "row": of_bytes(json.dumps(image.row, sort_keys=True).encode()),
    }
    message = train.Example(features=train.Features(feature=features))
    assert encode(image, tiled) == message.SerializeToString(deterministic=True)
    if not tiled:
        assert same(image, decode(encode(image)), left_out=("warnings", "fingerprint"))
