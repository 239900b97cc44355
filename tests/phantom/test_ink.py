"""Findings and matched ink."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from mammo_tf.phantom.anatomy import STRETCH, draw_woman, make_breast
from mammo_tf.phantom.drawing import draw_specks, draw_threads, draw_turns
from mammo_tf.phantom.ink import draw_ink
from mammo_tf.phantom.projection import pectoral_edge, to_picture
from mammo_tf.study import LABELS


@pytest.fixture(scope="module")
def breast():
    return make_breast(np.random.default_rng(1), draw_woman(np.random.default_rng(0), "B", 50), "L")


def inks(breast, label, count=60, conspicuity=1.0):
    return [draw_ink(np.random.default_rng([7, seed]), breast, label, conspicuity) for seed in range(count)]


def test_the_amount_of_ink_knows_nothing_of_the_label(breast):
    """Same numbers, same amounts: lumps, threads and calcium, draw by draw, for every label."""
    amounts = {}
    for label in LABELS:
        amounts[label] = [
            (
                len(ink.lumps),
                len(ink.threads.points),
                float(ink.threads.heights_mm.sum()),
                round(float((ink.specks.diameters_mm**3).sum()), 6),
            )
            for ink in inks(breast, label)
        ]
    assert np.allclose(amounts["normal"], amounts["malignant"])
    assert np.allclose(amounts["normal"], amounts["high_risk"])
    # A few coarse calcifications vary a little around the same amount.
    assert np.allclose(np.array(amounts["normal"])[:, :3], np.array(amounts["benign"])[:, :3])
    calcium = [np.mean([row[3] for row in amounts[label]]) for label in ("normal", "benign")]
    assert calcium[0] == pytest.approx(calcium[1], rel=0.1)


def test_only_findings_have_truth(breast):
    assert not any(ink.findings for ink in inks(breast, "normal"))
    for label, kinds in {
        "malignant": {"mass", "pleomorphic_cluster"},
        "high_risk": {"distortion", "amorphous_cluster"},
        "benign": {"mass", "lymph_node", "coarse_calcification", "scattered_calcifications"},
    }.items():
        drawn = inks(breast, label)
        assert all(ink.findings for ink in drawn)
        assert {finding.kind for ink in drawn for finding in ink.findings} == kinds
        assert {finding.label for ink in drawn for finding in ink.findings} == {label}


def radial(ink, centre):
    """Mean cosine between a thread's direction and the line from a centre to its start."""
    start = ink.threads.points[:, 0] - centre
    along = ink.threads.points[:, -1] - ink.threads.points[:, 0]
    cosine = (start * along).sum(axis=1) / np.linalg.norm(start, axis=1) / np.linalg.norm(along, axis=1)
    return float(cosine.mean())


def test_spicules_radiate_only_from_malignant_masses_and_distortions(breast):
    for label, wanted in (("malignant", True), ("high_risk", True), ("benign", False), ("normal", False)):
        for ink in inks(breast, label, 20):
            kinds = {finding.kind: finding for finding in ink.findings}
            if ink.lumps and (label != "high_risk" or "distortion" in kinds):
                found = kinds.get("mass") or kinds.get("distortion")
                centre = np.array(found.position_mm if found else ink.lumps[0].position_mm)
                assert (radial(ink, centre) > 0.9) == wanted


def sizes(drawn):
    """Diameters of lumps, of a disc of equal area, and the largest distance between the specks of clusters, mm."""
    lumps = np.array([2 * np.sqrt(np.prod(lump.radii_mm)) for ink in drawn for lump in ink.lumps])
    clusters = np.array(
        [
            pdist(ink.specks.positions_mm[list(finding.specks)]).max() * STRETCH
            for ink in drawn
            for finding in ink.findings
            if finding.kind in ("pleomorphic_cluster", "amorphous_cluster")
        ]
    )
    return lumps, clusters


@pytest.mark.parametrize("conspicuity", [1.0, 2.4])
def test_masses_are_of_6_to_25_mm_and_clusters_of_5_to_20(breast, conspicuity):
    lumps, clusters = sizes(inks(breast, "malignant", 700, conspicuity))
    for found, low, high in ((lumps, 6, 25), (clusters, 5, 20)):
        assert low <= found.min() and found.max() <= high + 1e-9
        if conspicuity == 1:  # small to middle ones are the commonest, tails reach the limits
            assert found.min() < low + 0.05 * (high - low) and found.max() > high - 0.15 * (high - low)
            assert np.median(found) < low + 0.4 * (high - low)


def test_lumps_of_healthy_breasts_are_of_the_same_sizes(breast):
    lumps = {label: sizes(inks(breast, label))[0] for label in LABELS}
    for label in LABELS:
        assert np.array_equal(lumps[label], lumps["malignant"])


def test_strewn_specks_are_no_cluster(breast):
    def extent(positions):
        return float(pdist(positions).max() * STRETCH)

    assert min(extent(ink.specks.positions_mm) for ink in inks(breast, "normal")) > 35
    for ink in inks(breast, "benign"):
        for finding in ink.findings:
            if finding.kind == "scattered_calcifications":
                assert extent(ink.specks.positions_mm[list(finding.specks)]) > 25


def test_conspicuity_scales_size_and_contrast_together(breast):
    faint, plain = inks(breast, "malignant", 20, 1.0), inks(breast, "malignant", 20, 2.0)
    for low, high in zip(faint, plain, strict=True):
        assert np.allclose(high.specks.diameters_mm, 2 * low.specks.diameters_mm)
        for small, large in zip(low.lumps, high.lumps, strict=True):
            assert large.radii_mm[0] > small.radii_mm[0] and large.height_mm > 1.9 * small.height_mm


def test_findings_lie_off_the_pectoral_muscle(breast):
    for ink in inks(breast, "malignant"):
        column, row = to_picture(np.array(ink.findings[0].position_mm), "MLO")
        assert column > pectoral_edge(breast.woman, row) - 6


@pytest.mark.parametrize("spacing_mm", [0.3, 0.7])
def test_calcium_keeps_its_volume_at_any_pixel_size(breast, spacing_mm):
    specks = inks(breast, "malignant", 1)[0].specks
    shape = (round(216 / spacing_mm), round(168 / spacing_mm))
    drawn = draw_specks(specks, draw_turns(specks, np.random.default_rng(0)), "CC", spacing_mm, shape)
    volume = np.pi / 6 * (specks.diameters_mm**3).sum()
    assert drawn.sum() * spacing_mm**2 == pytest.approx(volume, rel=1e-3)


def test_threads_keep_their_amount_at_any_pixel_size(breast):
    threads = inks(breast, "malignant", 1)[0].threads
    amounts = [
        draw_threads(threads, "CC", spacing, (round(216 / spacing), round(168 / spacing))).sum() * spacing**2
        for spacing in (0.2, 0.3, 0.6)
    ]
    assert max(amounts) < 1.35 * min(amounts)
