import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.imaging.breast import segment
from mammo_tf.imaging.pectoral import pectoral
from mammo_tf.reading import read


def dice(mask, truth):
    return 2 * np.count_nonzero(mask & truth) / (np.count_nonzero(mask) + np.count_nonzero(truth))


def mlo(rows=900, columns=700, top=0.35, wall=0.5, step=0.2, bend=0.0, seed=0):
    """A breast with a muscle from `top` of the width to `wall` of the height; picture, breast and muscle."""
    row, column = np.mgrid[:rows, :columns] / np.array([rows, columns])[:, None, None]
    breast = np.hypot((row - 0.45) / 0.5, column / 0.75) < 1
    breast |= (row < 0.4) & (column < 0.5)
    along = row / wall
    muscle = breast & (along < 1) & (column < top * (1 - along) + bend * along * (1 - along))
    texture = np.random.default_rng(seed).standard_normal((rows, columns))
    texture = cv2.GaussianBlur(texture, (0, 0), 12)
    picture = np.where(breast, 0.4 + 0.04 * texture / texture.std() + step * muscle, 0.03)
    return np.clip(cv2.GaussianBlur(picture, (0, 0), 3), 0, 1).astype(np.float32), breast, muscle


@pytest.mark.parametrize(
    "shape", [{}, {"top": 0.2, "wall": 0.7}, {"top": 0.45, "wall": 0.4}, {"step": 0.1}, {"bend": 0.08}, {"wall": 1.1}]
)
@pytest.mark.parametrize("mirrored", [False, True])
def test_muscle_is_found(shape, mirrored):
    picture, breast, muscle = mlo(**shape)
    if mirrored:
        picture, breast, muscle = picture[:, ::-1], breast[:, ::-1], muscle[:, ::-1]
    found = pectoral(picture, breast)
    assert found.dtype == np.bool_
    assert dice(found, muscle) > 0.93
    assert not (found & ~breast).any()


def test_muscle_is_found_in_what_segment_gives():
    picture, _, muscle = mlo()
    assert dice(pectoral(picture, segment(picture)), muscle) > 0.93


def test_no_muscle_no_line():
    breast = mlo()[1]
    assert pectoral(np.where(breast, 0.5, 0.0), breast) is None
    row, column = np.mgrid[: breast.shape[0], : breast.shape[1]]
    assert pectoral(np.where(breast, 0.3 + (row + column) / 4000, 0.0), breast) is None  # brighter towards the nipple


def test_unclear_chest_wall_is_no_guess():
    picture = mlo()[0]
    assert pectoral(picture, np.ones(picture.shape, bool)) is None
    assert pectoral(picture, np.zeros(picture.shape, bool)) is None
    assert pectoral(picture, np.ones(picture.shape, bool), chest_wall="left") is not None


@pytest.mark.real
def test_expert_outlines():
    if "MAMMO_TF_REAL_DATA" not in os.environ:
        pytest.skip("MAMMO_TF_REAL_DATA names no folder of real films")
    scores = []
    for path in sorted((Path(os.environ["MAMMO_TF_REAL_DATA"]) / "ddsm_tissue" / "images").glob("*.png")):
        label = cv2.imread(str(path.parents[1] / "labels" / f"{path.stem}_LI.png"), cv2.IMREAD_GRAYSCALE)
        pixels = read(path).pixels
        found = pectoral(pixels, segment(pixels))
        scores.append(0.0 if found is None else dice(found, label == 255))
    assert len(scores) == 12
    assert np.mean(scores) > 0.915  # 0.924 measured
    assert min(scores) > 0.8  # 0.838 measured
