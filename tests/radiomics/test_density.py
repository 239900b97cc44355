"""Percent density against the golden answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.radiomics import features, percent_density
from mammo_tf.radiomics.density import PIXEL_MM

GOLDEN = Path(__file__).parents[1] / "golden" / "openbreast"
SHAPE = (300, 220)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_every_stored_row(number: int) -> None:
    with np.load(GOLDEN / f"case{number}.npz") as file:
        stored = {name: file[name] for name in file.files}
    image = stored["image"].astype(np.float64)
    masks = [
        np.unpackbits(stored[key])[: SHAPE[0] * SHAPE[1]].reshape(SHAPE).astype(bool)
        for key in ("mask_packed", "seg_mask_packed")
    ]
    dense = np.unpackbits(stored["density_seg_packed"])[: 5 * SHAPE[0] * SHAPE[1]].reshape(5, *SHAPE).astype(bool)
    for row, expected in zip(stored["density_rows"], dense, strict=True):
        pitch, kind, share, dense_pixels, breast_pixels = row
        pixels = (image - image.min()) / np.ptp(image) if kind == 2 else image
        mask = masks[1] if kind == 3 else masks[0]
        found = percent_density(pixels, mask, pitch)
        assert mask.sum() == breast_pixels
        if kind == 2:  # unit: levels lie on pixel values, and rounding moves a few
            assert found.share == pytest.approx(share, abs=1e-3)
        else:
            assert found.share == pytest.approx(share, rel=1e-12)
            assert found.mask.sum() == dense_pixels
            np.testing.assert_array_equal(found.mask, expected)
        assert features(pixels, mask, pitch, "pd")["pd"] == found.share


@pytest.mark.parametrize("spacing", [1e-9, 0.0049, 5.1, 1e9, np.nan])
def test_a_size_that_no_pixel_has(spacing: float) -> None:
    pixels = np.random.default_rng(0).random((40, 30))
    with pytest.raises(MammoError, match="from 0.005 to 5 mm"):
        percent_density(pixels, np.ones(pixels.shape, bool), spacing)
    for possible in PIXEL_MM:
        assert 0 <= percent_density(pixels, np.ones(pixels.shape, bool), possible).share <= 1
