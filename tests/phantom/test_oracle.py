"""Learnable: a classifier that is given the place tells findings from background, and malignant from benign."""

import cv2
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold, cross_val_predict

from mammo_tf.evaluation import auc, bootstrap
from mammo_tf.phantom import CONSPICUOUS, DEFAULT_CONSPICUITY

PATCH_MM = 38.4
PATCH_PIXELS = 128
RINGS = (0, 6, 12, 18, 26, 36, 50, 64)
SITES = ("ffdm_site_1", "ffdm_site_2")
BACKGROUNDS = 3  # places of a picture without regard to findings
QUESTIONS = (
    (("malignant",), ("background",)),
    (("malignant", "high_risk", "benign"), ("background",)),
    (("malignant",), ("benign",)),
)


def cut(shown, centre_mm, spacing_mm):
    """The square around a place, float32 [128, 128], moved inside where it would leave the picture."""
    factor = PATCH_PIXELS / (PATCH_MM / spacing_mm)
    interpolation = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(shown, None, fx=factor, fy=factor, interpolation=interpolation)
    pixel = np.asarray(centre_mm) / spacing_mm * factor - PATCH_PIXELS / 2
    x, y = (int(np.clip(round(at), 0, size - PATCH_PIXELS)) for at, size in zip(pixel, scaled.shape[::-1], strict=True))
    return scaled[y : y + PATCH_PIXELS, x : x + PATCH_PIXELS]


def ring_features(patch):
    """What happens at which distance from the centre: level, edges along and across the radius, ridges, dots."""
    axis = np.arange(PATCH_PIXELS) - (PATCH_PIXELS - 1) / 2
    x, y = np.meshgrid(axis, axis)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    cosine, sine = np.cos(angle), np.sin(angle)
    smooth = cv2.GaussianBlur(patch, (0, 0), 1.2)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    maps = [patch - patch.mean(), across * cosine + down * sine, np.abs(down * cosine - across * sine)]
    for sigma in (1.0, 2.0):
        blurred = cv2.GaussianBlur(patch, (0, 0), sigma)
        xx, yy, xy = (cv2.Sobel(blurred, cv2.CV_32F, *order) for order in ((2, 0), (0, 2), (1, 1)))
        mixed = 2 * xy * sine * cosine
        for ridge in (xx * sine**2 - mixed + yy * cosine**2, xx * cosine**2 + mixed + yy * sine**2):
            maps += [np.maximum(-ridge, 0), np.maximum(-ridge, 0) ** 2]
    dots = cv2.morphologyEx(patch, cv2.MORPH_TOPHAT, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7)))
    features = [patch.mean(), patch.std()]
    for low, high in zip(RINGS[:-1], RINGS[1:], strict=True):
        ring = (radius >= low) & (radius < high)
        inside = dots[ring]
        features += [values[ring].mean() for values in maps]
        features += [patch[ring].std(), inside.max(), np.percentile(inside, 97), np.sort(inside)[-12:].mean()]
        features += [(inside > 0.08).sum(), (inside > 0.12).sum()]
    return features


def relative_features(patch):
    """Bright dots and blobs in units of the patch's own noise and texture, so that no site's curve sets a threshold."""
    axis = np.arange(PATCH_PIXELS) - (PATCH_PIXELS - 1) / 2
    radius = np.hypot(*np.meshgrid(axis, axis))
    zones = [radius < reach for reach in (12, 24, 36, 52)] + [radius >= 52]
    features = []
    for sigma in (0.8, 1.3, 2.0, 3.0):
        band = cv2.GaussianBlur(patch, (0, 0), sigma) - cv2.GaussianBlur(patch, (0, 0), 1.6 * sigma)
        band = band / (1.4826 * np.median(np.abs(band - np.median(band))) + 1e-5)
        peak = band == cv2.dilate(band, np.ones((5, 5), np.uint8))
        for zone in zones:
            highest = np.pad(np.sort(band[peak & zone])[::-1], (0, 12))
            features += [*highest[[0, 2, 5]], highest[:10].mean(), (highest > 4).sum(), (highest > 6).sum()]
    middle = slice(PATCH_PIXELS // 2 - 4, PATCH_PIXELS // 2 + 4)
    for sigma in (5, 8, 12, 18, 26):
        band = cv2.GaussianBlur(patch, (0, 0), sigma) - cv2.GaussianBlur(patch, (0, 0), 1.6 * sigma)
        features += [band[middle, middle].mean(), band[middle, middle].mean() / (band.std() + 1e-4)]
    return features


def oracle(see, patients, conspicuity, spacing_mm, sites, rounds=150):
    """AUC of patches with its 95 % interval over patients, five-fold by patient: {(site, question): Interval}."""
    rows = []
    for seen in see(patients, sites, conspicuity, spacing_mm, seed=9):
        picture = seen.picture
        free = np.argwhere(picture.inside & ~picture.muscle)
        rng = np.random.default_rng([seen.patient, seen.site, ord(seen.laterality), len(seen.view)])
        places = [
            (truth.finding.label, np.array(truth.centre_mm) - picture.offset_mm[::-1])
            for truth in seen.projection.findings
        ]
        # Background is any place of the breast, matched ink included.
        where = free[rng.integers(len(free), size=BACKGROUNDS)][:, ::-1] * picture.spacing_mm
        places += [("background", place) for place in where]
        for label, centre in places:
            patch = cut(seen.shown, centre, picture.spacing_mm)
            rows.append((seen.site, seen.patient, label, ring_features(patch) + relative_features(patch)))
    result = {}
    for site, name in enumerate(sites):
        for positive, negative in QUESTIONS:
            kept = [row for row in rows if row[0] == site and row[2] in (*positive, *negative)]
            groups, truth = np.array([row[1] for row in kept]), np.array([row[2] in positive for row in kept])
            table = np.array([row[3] for row in kept])
            model = HistGradientBoostingClassifier(max_iter=rounds, max_depth=4, learning_rate=0.08, random_state=0)
            score = cross_val_predict(model, table, truth, groups=groups, cv=GroupKFold(5), method="predict_proba")
            question = f"{'/'.join(positive)} against {'/'.join(negative)}"
            result[name, question] = bootstrap(auc, truth, score[:, 1], groups=groups, replicates=500)
    return result


def words(found):
    """A line to print: each question with its AUC and interval."""
    return {" ".join(key): f"{each.value:.3f} ({each.low:.3f}-{each.high:.3f})" for key, each in found.items()}


@pytest.mark.long
def test_conspicuous_findings_are_seen_at_their_place(see):
    found = oracle(see, 24, CONSPICUOUS, 0.6, SITES[:1], rounds=40)
    assert found[SITES[0], "malignant against background"].value > 0.9, words(found)


@pytest.mark.long
@pytest.mark.timeout(1800)  # 400 patients by two machines at 0.3 mm
@pytest.mark.parametrize(("conspicuity", "spacing_mm"), [(DEFAULT_CONSPICUITY, 0.3), (CONSPICUOUS, 0.6)])
def test_oracle(see, conspicuity, spacing_mm):
    found = oracle(see, 400, conspicuity, spacing_mm, SITES)
    print(conspicuity, words(found))
    for site in SITES:
        assert found[site, "malignant against background"].value >= 0.95, words(found)
        assert found[site, "malignant against benign"].value > 0.75, words(found)
        if conspicuity == DEFAULT_CONSPICUITY:
            assert found[site, "malignant against benign"].value < 0.95, words(found)


@pytest.mark.long
@pytest.mark.timeout(3600)  # 400 patients in slices
def test_oracle_of_projected_volumes(see):
    found = oracle(see, 400, CONSPICUOUS, 0.6, ("dbt",))
    print(words(found))
    assert found["dbt", "malignant against background"].value >= 0.95, words(found)
    assert found["dbt", "malignant against benign"].value > 0.75, words(found)
