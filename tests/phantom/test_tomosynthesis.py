"""The sweep: what lies in a slice is sharp there and smeared elsewhere; volumes as files."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammo_tf.phantom import CONSPICUOUS, load_machine, make_study
from mammo_tf.phantom.drawing import Projection
from mammo_tf.phantom.layers import Layers
from mammo_tf.phantom.machine import Processing
from mammo_tf.phantom.tomosynthesis import ramp_filtered, reconstruct, shifted, slice_heights
from mammo_tf.reading import frames, inspect_file, project
from mammo_tf.study import findings_from_json

SPACING_MM, THICK_MM, SPECK_MM = 0.5, 48.0, 13.5
ROWS, COLUMNS, PLACE = 432, 336, (200, 100)


@pytest.fixture(scope="module")
def machine():
    """The shipped machine without noise, scatter, blur and processing, on the phantom's whole field."""
    shipped = load_machine("dbt")
    detector = replace(shipped.detector, scatter_to_primary=0.0, blur_mm=0.0, photons_per_mm2=1e8, grain=0.0)
    plain = Processing(0.0, 0.0, 1.0, 0.0, 1.0, 0.0)
    look = replace(shipped.presentation, curve="log", gain=0.5, centre=0.3, bits=16, voi="none")
    sweep = replace(shipped.tomosynthesis, low_frequencies=1.0)
    return replace(
        shipped, detector=detector, processing=plain, presentation=look, field_mm=(216.0, 168.0), spacing_factor=1.0,
        tomosynthesis=sweep,
    )  # fmt: skip


@pytest.fixture(scope="module")
def volume(machine):
    """A plain slab of fat with one speck of calcium."""
    count = 16
    thickness = np.full((count, ROWS, COLUMNS), THICK_MM / count, dtype=np.float32)
    heights = (np.arange(count) + 0.5) * THICK_MM / count
    calcium = np.zeros_like(thickness)
    calcium[np.abs(heights - SPECK_MM).argmin(), PLACE[0], PLACE[1]] = 1.0
    nothing = np.zeros_like(thickness)
    flat = Projection(
        thickness.sum(axis=0), nothing[0], calcium.sum(axis=0), nothing[0], SPACING_MM, THICK_MM, ()
    )  # fmt: skip
    layers = Layers(thickness, nothing, calcium, heights, ())
    return reconstruct(flat, layers, machine, machine.tomosynthesis, np.random.default_rng(0))


def test_slices_stand_a_millimetre_apart(volume):
    assert volume.pixels.shape == (48, ROWS, COLUMNS)
    assert volume.pixels.dtype == np.uint16
    assert volume.slice_mm == 1.0
    assert volume.frame_at(0.2) == 1 and volume.frame_at(13.5) == 14 and volume.frame_at(99) == 48


def test_a_speck_is_brightest_in_its_slice(volume):
    line = volume.pixels[:, PLACE[0], PLACE[1]].astype(float)
    assert abs(int(line.argmax()) + 1 - volume.frame_at(SPECK_MM)) <= 1


@pytest.mark.parametrize("away_mm", [8, 16, 24])
def test_it_is_smeared_along_the_sweep_by_its_distance(volume, machine, away_mm):
    shown = volume.pixels[volume.frame_at(SPECK_MM + away_mm) - 1].astype(float)
    shown -= np.median(shown)
    rows, columns = np.nonzero(shown > 0.1 * shown.max())
    reach = 2 * away_mm * np.tan(np.deg2rad(machine.tomosynthesis.sweep_deg / 2))
    assert (np.ptp(rows) + 1) * SPACING_MM == pytest.approx(reach, abs=1.5)
    assert np.ptp(columns) == 0


def test_the_speck_keeps_its_amount_in_every_slice(volume):
    sums = (volume.pixels.astype(float) - np.median(volume.pixels)).clip(0).sum(axis=(1, 2))
    assert sums[5:40].std() / sums[5:40].mean() < 0.1


@given(st.floats(-30, 30), st.integers(0, 2**31))
def test_shifts_are_linear_between_rows(rows, seed):
    picture = np.random.default_rng(seed).random((20, 3), dtype=np.float32)
    place = np.clip(np.arange(20) - rows, 0, 19)
    low = np.floor(place).astype(int)
    part = (place - low)[:, None]
    expected = picture[low] * (1 - part) + picture[np.minimum(low + 1, 19)] * part
    np.testing.assert_allclose(shifted(picture, rows), expected, atol=1e-5)


def test_the_filter_lowers_slow_changes_alone():
    sweep = load_machine("dbt").tomosynthesis
    row = (np.arange(400) * 0.5)[:, None] * np.ones((1, 4))
    plain = np.full((400, 4), 2.0, dtype=np.float32)
    np.testing.assert_allclose(ramp_filtered(plain, 0.5, sweep), 2.0 * sweep.low_frequencies, rtol=1e-4)
    fast = np.sin(2 * np.pi * 0.5 * row).astype(np.float32)  # beyond the cutoff
    np.testing.assert_allclose(ramp_filtered(fast, 0.5, sweep)[100:300], fast[100:300], atol=0.02)
    untouched = ramp_filtered(fast, 0.5, replace(sweep, low_frequencies=1.0))
    np.testing.assert_allclose(untouched, fast, atol=1e-4)


def test_a_breast_has_as_many_slices_as_it_needs():
    sweep = load_machine("dbt").tomosynthesis
    assert slice_heights(52.3, sweep).tolist()[-1] == 52.5
    assert len(slice_heights(52.3, replace(sweep, slice_mm=2.0))) == 27


def test_volumes_are_tomosynthesis_objects(tmp_path):
    machine = replace(load_machine("dbt"), tomosynthesis=replace(load_machine("dbt").tomosynthesis, slice_mm=4.0))
    manifest = make_study(
        tmp_path / "study", 2, [machine], 1, 1.2, conspicuity=CONSPICUOUS, prevalence={"malignant": 1.0}, workers=1
    )
    assert set(manifest["modality"]) == {"DBT"} and len(manifest) == 8
    for _, row in manifest.iterrows():
        path = tmp_path / "study" / row["path"]
        header = pydicom.dcmread(path)
        assert header.SOPClassUID == pydicom.uid.BreastTomosynthesisImageStorage
        groups = header.PerFrameFunctionalGroupsSequence
        depths = [float(one.PlanePositionSequence[0].ImagePositionPatient[2]) for one in groups]
        assert np.diff(depths) == pytest.approx(np.full(len(depths) - 1, 4.0))
        facts = inspect_file(path)
        assert (facts.laterality, facts.view, facts.modality) == (row["laterality"], row["view"], "DBT")
        assert (facts.frames, facts.slice_distance_mm) == (len(depths), 4.0)
        assert facts.spacing_mm == pytest.approx((row["spacing_row_mm"], row["spacing_column_mm"]))
        assert facts.warnings == ()
        shown = list(frames(path))
        np.testing.assert_array_equal(project(path).pixels, np.max(shown, axis=0))
        dark = np.median(shown[0][:, :5] if row["laterality"] == "R" else shown[0][:, -5:])
        assert dark < 0.05 < project(path).pixels.mean()
        for finding in findings_from_json(row["findings"]):
            assert 1 <= finding.frame <= facts.frames
    assert sum(bool(cell) for cell in manifest["findings"]) >= 4
