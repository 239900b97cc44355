"""Records behind steps: whole pictures first, and what is cut of them afterwards."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mammo_tf.data.cutting import cut
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.band_steps import ContrastBands
from mammo_tf.imaging.bands import apply_gains
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.records.behind import _Pictures, behind
from mammo_tf.study import read_manifest

SCALES, GAINS = (1.0, 2.0, 8.0), (2.0, 0.5, 1.5)
BANDS = ContrastBands(SCALES, GAINS)
CURVE = HistogramLookup(tuple(4095 * np.linspace(0, 1, 4096) ** 0.5))
TILE = (48, 40)
PLACE = np.array([[1.0, 0.0, 30.0], [0.0, 1.0, 50.0]])


@pytest.fixture(scope="module", params=[None, 48])
def prepared(request: pytest.FixtureRequest, films: Path, tmp_path_factory: pytest.TempPathFactory) -> Records:
    folder = tmp_path_factory.mktemp("behind") / "records"
    steps = Preprocessing.preset("default", (128, 112))
    prepare(read_manifest(films)[:6], films.parent, folder, steps, tile=request.param)
    return open_records(folder)


def test_a_tile_is_cut_of_the_whole_picture_behind_the_steps(prepared: Records) -> None:
    shown = behind(prepared, (CURVE, BANDS))
    breast = prepared.breast(2)
    plain = CURVE.intensity(prepared.picture(2) / np.float32(65535))
    wanted = apply_gains(plain, breast, SCALES, GAINS)
    found = cut(shown, 2, PLACE, TILE) / 65535
    window = np.s_[50 : 50 + TILE[0], 30 : 30 + TILE[1]]
    np.testing.assert_allclose(found, wanted[window], atol=1e-5)
    alone = apply_gains(plain[window], breast[window], SCALES, GAINS)
    assert np.abs(alone - wanted[window]).max() > 0.01, "a tile by itself is something else"


def test_what_is_not_a_picture_stays(prepared: Records) -> None:
    shown = behind(prepared, (CURVE,))
    assert (shown.size, len(shown), shown.tile) == (prepared.size, len(prepared), prepared.tile)
    ours, theirs = shown.image(3), prepared.image(3)
    np.testing.assert_array_equal(ours.finding_masks, theirs.finding_masks)
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert (ours.picture != theirs.picture).any()
    np.testing.assert_array_equal(ours.picture, shown.picture(3))
    np.testing.assert_array_equal(shown.region(3, (5, 60, 7, 90)), shown.picture(3)[5:60, 7:90])


def test_a_part_is_behind_the_same_steps(prepared: Records) -> None:
    shown = behind(prepared, (CURVE, BANDS))
    np.testing.assert_array_equal(shown.part([4, 1]).picture(1), shown.picture(1))
    assert (shown.part([4, 1]).picture(1) != prepared.picture(1)).any()


def test_the_digest_tells_the_steps(prepared: Records) -> None:
    digests = {prepared.digest, behind(prepared, (CURVE,)).digest, behind(prepared, (CURVE, BANDS)).digest}
    assert len(digests) == 3
    assert behind(prepared, (CURVE,)).digest == behind(prepared, (CURVE,)).digest


def test_records_behind_steps_may_be_behind_others_already(prepared: Records) -> None:
    twice = behind(behind(prepared, (CURVE,)), (CURVE, BANDS))
    first = np.rint(CURVE.intensity(prepared.picture(2) / np.float32(65535)) * 65535).astype(np.uint16)
    wanted = apply_gains(CURVE.intensity(first / np.float32(65535)), prepared.breast(2), SCALES, GAINS)
    np.testing.assert_allclose(twice.picture(2) / 65535, wanted, atol=1e-5)


def test_a_picture_is_computed_once_as_long_as_there_is_room(
    prepared: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For threads that want it at once, too, and for parts of the records."""
    asked: list[int] = []
    read = Records.picture

    def slow(records: Records, position: int) -> NDArray[np.uint16]:
        asked.append(position)
        time.sleep(0.05)
        return read(records, position)

    monkeypatch.setattr(Records, "picture", slow)
    monkeypatch.setattr("mammo_tf.records.behind._PICTURES", _Pictures())
    shown = behind(prepared, (CURVE,))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(shown.picture, [1, 1, 1, 3]))
    assert sorted(asked) == [1, 3]
    np.testing.assert_array_equal(found[0], found[2])
    shown.part([3]).picture(0)
    behind(prepared, (CURVE,)).picture(1)
    assert sorted(asked) == [1, 3]
    behind(prepared, (BANDS,)).picture(1)
    assert sorted(asked) == [1, 1, 3]
    monkeypatch.setattr("mammo_tf.records.behind.KEPT", 1)
    for position in (4, 4, 5, 4):
        shown.picture(position)
    assert asked[3:] == [4, 5, 4]
