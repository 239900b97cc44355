"""What pictures are like in a few numbers: of the breast alone, by patient, as the network sees them."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.bands import SCALES, statistics
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.picture_vectors import (
    LEVELS,
    QUANTILES,
    median_spacing,
    picture_vectors,
    some_patients,
)
from mammo_tf.study import make_manifest

SIZE = (96, 80)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Records:
    """Six patients, two pictures each, grey from 0.3 on."""
    folder = tmp_path_factory.mktemp("site")
    rows, columns = np.mgrid[:192, :160]
    breast = np.hypot((rows - 96) / 90, columns / 140) < 1
    listed = []
    for number in range(12):
        noise = cv2.GaussianBlur(np.random.default_rng(number).normal(size=breast.shape), None, 2)
        picture = np.clip(0.3 + 0.03 * number + 0.3 * noise, 0.1, 1) * breast
        cv2.imwrite(str(folder / f"{number}.png"), np.rint(picture * 65535).astype(np.uint16))
        listed.append({
            "image_id": f"i{number}", "patient_id": f"p{number // 2}", "laterality": "L", "view": "CC",
            "path": f"{number}.png", "spacing_row_mm": 0.3, "spacing_column_mm": 0.3, "split": "train",
        })  # fmt: skip
    prepare(make_manifest(listed), folder, folder / "records", Preprocessing.preset("default", SIZE, channels=1))
    return open_records(folder / "records")


def test_a_picture_is_its_grey_values_and_its_contrasts(site: Records) -> None:
    every = np.arange(12)
    found = picture_vectors(site, every, site.preprocessing)
    assert found.masked and found.images == 12
    assert found.values.shape == (12, len(QUANTILES) + len(SCALES))
    inside = [(site.picture(place) / 65535)[site.breast(place)] for place in range(12)]
    np.testing.assert_allclose(found.grey[:, 2], [np.median(one) for one in inside], atol=1e-6)
    assert (np.diff(found.grey[:, 2]) > 0).all()
    pictures = [(site.picture(place) / np.float32(65535)).astype(np.float32) for place in range(12)]
    bands = statistics(pictures, [site.breast(place) for place in range(12)], SCALES)
    np.testing.assert_allclose(np.median(found.robust, axis=0), bands.robust, rtol=1e-6)
    np.testing.assert_allclose(np.mean(found.plain, axis=0), bands.plain, rtol=1e-6)
    assert found.cdf.shape == (LEVELS,)
    assert found.cdf[-1] == pytest.approx(1)
    assert found.cdf[LEVELS // 2] == pytest.approx(np.mean([(one <= 0.5).mean() for one in inside]), abs=0.01)


def test_pictures_are_seen_as_the_network_sees_them(site: Records) -> None:
    """Behind a look-up of a domain, but not behind scale and mean."""
    darker = HistogramLookup(tuple((0.5 * np.arange(256)).tolist()), 255)
    steps = replace(site.preprocessing, intensity_steps=(darker, *site.preprocessing.intensity_steps))
    own = picture_vectors(site, np.arange(3), site.preprocessing)
    seen = picture_vectors(site, np.arange(3), steps)
    np.testing.assert_allclose(seen.grey, own.grey / 2, atol=0.01)


def test_without_breast_masks_there_is_the_distribution_alone(records: Records) -> None:
    found = picture_vectors(records, np.arange(4), records.preprocessing)
    assert not found.masked
    assert found.values.shape == (0, len(QUANTILES) + len(SCALES))
    assert found.images == 4 and 0 < found.cdf[LEVELS // 3] < 1


def test_patients_are_drawn_whole(site: Records) -> None:
    every = np.arange(12)
    drawn = some_patients(site, every, 7, seed=1)
    assert len(drawn) == 6
    assert (drawn.reshape(-1, 2)[:, 1] == drawn.reshape(-1, 2)[:, 0] + 1).all()
    assert some_patients(site, every, 7, seed=2).tolist() != drawn.tolist()
    assert len(some_patients(site, every, 1)) == 2, "one patient at least"
    assert len(some_patients(site, every, None)) == 12


def test_the_numbers_of_a_picture_are_its_own(site: Records) -> None:
    """Whatever other pictures there are, and whatever their spacing."""
    alone, among = (
        picture_vectors(site, positions, site.preprocessing) for positions in (np.array([3]), np.arange(12))
    )
    np.testing.assert_array_equal(alone.values[0], among.values[3])
    spacing = median_spacing(site, np.arange(12))
    assert spacing is not None and 0.3 < spacing < 1.2
    assert median_spacing(site, np.arange(0)) is None
