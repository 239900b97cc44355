"""Verdicts on shifts that were made, what they say, what is refused, and a real screening model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.adaptation.shift import verdict
from mammo_tf.adaptation.shift_verdict import Evidence
from mammo_tf.errors import MammoError

Sample = tuple[np.ndarray, np.ndarray]


def _patients(count: int, share: float, seed: int, gain: float = 1.0) -> Sample:
    """Scores and labels; a machine changes scores by a power."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) < round(share * count)
    scores = 1 / (1 + np.exp(2 - generator.normal(2.5 * labels, 1)))
    return scores**gain, labels.astype(int)


REFERENCE = _patients(800, 0.1, 0)


@pytest.mark.parametrize(
    ("share", "gain", "more", "kind", "says", "follows"),
    [
        (0.1, 1.0, {}, "none", "no shift is seen: the scores of OURS (400 patients)", "leave scores and threshold"),
        (0.3, 1.0, {}, "prevalence", "in another share, 0.", "do not match scores: at the threshold"),
        (0.3, 1.0, {"prevalence": 0.3}, "prevalence", "the known 0.3 instead of 0.1", "do not match scores: at the"),
        (0.1, 0.6, {}, "acquisition", "whether prevalence differs as well cannot be told", "if prevalence is known"),
        (0.1, 0.6, {"prevalence": 0.1}, "acquisition", "at the known prevalence 0.1", "prevalence is the same"),
        (0.3, 0.6, {"prevalence": 0.3}, "both", "prevalence, 0.1 and the known 0.3", "anew on labelled cases of OURS"),
        (0.1, 0.6, {"differences": ["median age 50 and 60"]}, "both", "differ in median age 50", "another case mix"),
        (0.3, 1.0, {"differences": ["median age 50 and 60"]}, "prevalence", "share", "which can move scores as well"),
        (0.3, 1.0, {"prevalence": 0.1}, "acquisition", "prevalence 0.1", "would explain the scores: make sure of"),
        (0.1, 1.0, {"prevalence": 0.3}, "both", "the known 0.3", "make sure of the known one"),
    ],
)  # fmt: skip
def test_a_shift_that_was_made_is_told(
    share: float, gain: float, more: dict, kind: str, says: str, follows: str
) -> None:
    scores, _ = _patients(400, share, 1, gain)
    found = verdict(REFERENCE[0], scores, REFERENCE[1], replicates=199, names=("THEIRS", "OURS"), **more)
    assert found.kind == kind
    assert says in found.sentence
    assert follows in "; ".join(found.follows)
    assert (found.reference_patients, found.positive_patients, found.site_patients) == (800, 80, 400)
    if gain == 1:
        assert found.prevalence_low < share < found.prevalence_high
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert stored["kind"] == kind
    assert stored["sentence"] == found.sentence
    assert len(stored["distributions"]["mixture"]) == len(stored["distributions"]["score"])
    assert stored["matching"]["sensitivity"] == pytest.approx(
        (REFERENCE[0] >= found.threshold)[REFERENCE[1] == 1].mean()
    )


def _seen(p: float, beyond: float) -> list[Evidence]:
    """What pictures say, and features that say nothing."""
    both = (("grey values and contrast", p, beyond), ("features", 0.6, 0.6))
    return [Evidence(what, *ps, 0.005, 0.8, 50, 100, "permutation of patients") for what, *ps in both]


@pytest.mark.parametrize(
    ("share", "gain", "p", "beyond", "more", "kind", "says", "follows"),
    [
        (0.1, 1.0, 0.4, 0.4, {}, "none", "nor are its pictures seen to differ (grey values and", "leave"),
        (0.3, 1.0, 0.4, 0.4, {}, "prevalence", "beyond that its pictures are not seen to differ", "do not match"),
        (0.3, 1.0, 0.001, 0.3, {}, "prevalence", "beyond that its pictures are not", "do not match"),
        (0.3, 1.0, 0.001, 0.001, {}, "acquisition", "another prevalence alone would explain its scores", "prevalence"),
        (0.1, 1.0, 0.001, 0.001, {}, "acquisition", "its scores are not seen to differ", "score further patients"),
        (0.1, 1.0, 0.02, 0.02, {}, "none", "no shift", "leave"),
        (0.1, 0.6, 0.001, 0.001, {}, "acquisition", "beyond what prevalence does (grey", "match scores (match-scores)"),
        (0.1, 0.6, 0.4, 0.4, {}, "unclear", "of OURS (p 0.005), and beyond what prevalence does", "do not match"),
        (0.1, 1.0, 0.001, 0.3, {}, "unclear", "there is a shift (of pictures: grey", "do not match"),
        (0.3, 0.6, 0.001, 0.001, {"prevalence": 0.3}, "both", "pictures of OURS differ", "choose the threshold anew"),
        (0.1, 0.6, 0.001, 0.001, {"differences": ["age"]}, "both", "the patients differ in age", "another case mix"),
    ],
)  # fmt: skip
def test_pictures_tell_a_machine_from_prevalence(
    share: float, gain: float, p: float, beyond: float, more: dict, kind: str, says: str, follows: str
) -> None:
    scores, _ = _patients(400, share, 1, gain)
    found = verdict(
        REFERENCE[0], scores, REFERENCE[1], replicates=199, names=("THEIRS", "OURS"), evidence=_seen(p, beyond),
        alpha=0.015, **more,
    )  # fmt: skip
    assert found.kind == kind, found.sentence
    assert says in found.sentence
    assert follows in "; ".join(found.follows)
    stored = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert [one["p_beyond"] for one in stored["evidence"]] == [beyond, 0.6]


def test_pictures_without_labels_of_the_reference() -> None:
    moved = _patients(400, 0.1, 1, 0.6)[0]
    seen = verdict(REFERENCE[0], moved, replicates=199, evidence=_seen(0.001, 0.001))
    assert seen.kind == "acquisition"
    assert "pictures of the site differ from those of the reference beyond what prevalence does (grey" in seen.sentence
    assert verdict(REFERENCE[0], moved, replicates=199, evidence=_seen(0.4, 0.4)).kind == "unclear"


def test_without_labels_of_both_classes_there_is_a_shift_or_none() -> None:
    moved, same = _patients(400, 0.1, 1, 0.6)[0], _patients(400, 0.1, 2)[0]
    few = np.where(np.arange(800) < 9, 1, 0)
    for labels in (None, np.zeros(800), few):
        found = verdict(REFERENCE[0], moved, labels, replicates=199)
        assert (found.kind, found.prevalence, found.p_mixture) == ("unclear", None, None)
        assert "without labels of both classes in the reference" in found.sentence
        assert "gather more patients or labels" in found.follows[0]
        assert found.to_json()["distributions"]["mixture"] is None
    assert verdict(REFERENCE[0], same, replicates=199).kind == "none"


def test_images_of_one_patient_are_no_patients() -> None:
    """Forty women, each image four times: no shift is seen, as without the copies; as 160 women there might be one."""
    scores = _patients(40, 0.1, 3)[0]
    alone = verdict(REFERENCE[0], scores, REFERENCE[1], replicates=99)
    copied = verdict(
        REFERENCE[0].repeat(4), scores.repeat(4), REFERENCE[1].repeat(4), np.arange(800).repeat(4),
        np.arange(40).repeat(4), replicates=99,
    )  # fmt: skip
    assert (copied.kind, copied.site_patients, copied.positive_patients) == ("none", 40, 80)
    assert copied.prevalence == pytest.approx(alone.prevalence, abs=0.02)
    assert "40 patients are few" in alone.follows[1]


GOOD = np.linspace(0.1, 0.9, 60)


@pytest.mark.parametrize(
    ("changed", "code", "says"),
    [
        ({"site_scores": GOOD[:24]}, "patients_few", "24 patients are too few to tell a shift. Gather 25 or more"),
        ({"site_patients": np.zeros(60)}, "patients_few", "1 patient are too few"),
        ({"site_scores": 100 * GOOD}, "scales_differ", "divide percentages by 100"),
        ({"site_scores": np.append(GOOD, np.nan)}, "score_not_finite", "1 of 61 scores are not finite"),
        ({"reference_scores": np.full(60, 0.5)}, "scores_constant", "all 60 scores are 0.5"),
        ({"site_scores": []}, "scores_missing", "the site has no scores"),
        ({"prevalence": 5}, "prevalence_wrong", "a prevalence of 5 is not a share"),
        ({"replicates": 20}, "replicates_wrong", "Take 999"),
        ({"reference_labels": np.full(60, 2)}, "label_wrong", "labels are 0 or 1"),
        ({"reference_labels": [0, 1]}, "lengths_differ", "2 labels and 60 scores"),
        ({"site_patients": [0, 1]}, "lengths_differ", "2 groups"),
        ({"threshold": np.nan}, "threshold_wrong", "not a finite number"),
    ],
)
def test_what_no_verdict_can_be_made_of(changed: dict, code: str, says: str) -> None:
    good = {"reference_scores": GOOD, "site_scores": GOOD, "reference_labels": np.arange(60) % 2}
    with pytest.raises(MammoError, match=says) as caught:
        verdict(**(good | changed))
    assert caught.value.code == code


@pytest.fixture(scope="module")
def real_sites(real_data: Path) -> dict[str, Sample]:
    """A patient's score, the maximum of her four images, and her label."""
    found = {}
    for name in ("A", "A_after_update", "B"):
        table = pd.read_csv(real_data / "scores" / f"{name}.csv")
        cells = (table["pred1"], table["malignant"].astype(int))
        found[name] = tuple(cell.to_numpy().reshape(-1, 4).max(axis=1) for cell in cells)
    return found


@pytest.mark.real
@pytest.mark.parametrize(
    ("name", "times", "size", "kind"),
    [
        ("A", 1, 1600, "none"), ("A", 3, 500, "prevalence"), ("A", 5, 300, "prevalence"),
        ("A_after_update", 1, 50, "acquisition"), ("B", 1, 50, "acquisition"), ("B", 1, 1600, "acquisition"),
    ],
)  # fmt: skip
def test_a_real_screening_model(real_sites: dict, name: str, times: float, size: int, kind: str) -> None:
    scores, labels = real_sites["A"]
    theirs, ours = np.array_split(np.random.default_rng(0).permutation(len(labels)), 2)
    site, truth = (values[ours] for values in real_sites[name])
    hits = round(times * labels.mean() * size)
    chosen = np.concatenate([np.flatnonzero(truth == 1)[:hits], np.flatnonzero(truth == 0)[: size - hits]])
    found = verdict(scores[theirs], site[chosen], labels[theirs], replicates=199)
    assert found.kind == kind
    if name == "A":
        assert found.prevalence_low < hits / size < found.prevalence_high
