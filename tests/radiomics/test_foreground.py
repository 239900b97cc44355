"""OpenBreast's outline of the breast against the golden answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mammo_tf.errors import MammoError
from mammo_tf.radiomics.foreground import Line, canny, foreground

GOLDEN = Path(__file__).parents[1] / "golden" / "openbreast"
SHAPE = (300, 220)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_threshold_contour_and_mask(number: int) -> None:
    with np.load(GOLDEN / f"case{number}.npz") as file:
        stored = {name: file[name] for name in file.files}
    expected = np.unpackbits(stored["seg_mask_packed"])[: SHAPE[0] * SHAPE[1]].reshape(SHAPE).astype(bool)
    line = Line(*stored["chest_line_mb"])
    found = foreground(stored["image"], mlo=bool(stored["is_mlo"]), line=line)
    assert found.threshold == pytest.approx(float(stored["seg_threshold"]), abs=1e-9)
    assert found.flipped == bool(stored["seg_flip"])
    np.testing.assert_allclose(found.contour, stored["contour_xy"], atol=1e-6)
    np.testing.assert_array_equal(found.mask, expected)


def test_a_pectoral_line_is_found_where_there_is_one() -> None:
    rows, columns = np.indices((300, 220))
    breast = ((rows - 60) / 200) ** 2 + (columns / 150) ** 2 < 1  # the upper edge cuts the breast, as in MLO views
    muscle = rows < 100 - 2.0 * columns
    image = 30 + 900 * breast + 700 * (muscle & breast) + np.random.default_rng(0).normal(0, 4, breast.shape)
    found = foreground(image, mlo=True)
    assert found.line is not None
    assert found.line.slope == pytest.approx(-2.0, abs=0.2)
    assert found.line.intercept == pytest.approx(100, abs=20)
    assert (found.mask & muscle).sum() < 0.15 * muscle.sum()
    mirrored = foreground(image[:, ::-1], mlo=True)
    assert mirrored.flipped
    np.testing.assert_array_equal(mirrored.mask[:, ::-1], found.mask)


def test_edges_are_thin_and_where_the_step_is() -> None:
    picture = np.zeros((60, 60))
    picture[:, 30:] = 1
    edges = canny(picture)
    assert edges[:, 28:32].any(axis=1).all()
    assert not edges[:, :27].any()
    assert not edges[:, 33:].any()
    assert edges[20:40].sum(axis=1).max() <= 2


def test_nothing_to_outline() -> None:
    with pytest.raises(MammoError, match="without contrast"):
        foreground(np.full((50, 50), 3), mlo=False)
