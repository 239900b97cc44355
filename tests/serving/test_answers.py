"""What the card says beyond the score, in the graph, against NumPy's: calibration, decision, distance."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from mammo_tf.evaluation import Calibration
from mammo_tf.imaging.domain_distance import fit, vector
from mammo_tf.serving import export_bundle, open_bundle, open_scorer
from mammo_tf.serving.answers import probabilities
from mammo_tf.serving.predict import predict
from mammo_tf.training import ModelCard, ModelFile, save_model
from mammo_tf.training.model_card import CardCalibration, KnownPatients, Threshold, TrainingDomain

SCORES = np.array([0.0, 1e-9, 0.03, 0.2, 0.5, 0.7, 0.93, 1.0], np.float32)
LEVELS = (0.2, 0.4, 0.6)


@pytest.mark.parametrize(
    "calibration",
    [
        Calibration("platt", 2.5, -0.7),
        Calibration("temperature", 0.4),
        Calibration("isotonic", knots=(0.1, 0.2, 0.7, 0.9), values=(0.05, 0.2, 0.2, 0.8)),
        Calibration("isotonic", knots=(0.5,), values=(0.3,)),
    ],
    ids=["platt", "temperature", "isotonic", "one knot"],
)
def test_probabilities_are_those_of_the_calibration(calibration):
    found = probabilities(calibration, tf.constant(SCORES, tf.float64))
    np.testing.assert_allclose(found, calibration(SCORES), rtol=1e-12, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=2, max_size=12, unique=True),
    st.lists(st.floats(0, 1, width=32), min_size=12, max_size=12),
)
def test_any_isotonic_calibration_is_the_same_in_the_graph(knots, values):
    rising = tuple(sorted(values[: len(knots)]))
    calibration = Calibration("isotonic", knots=tuple(sorted(knots)), values=rising)
    np.testing.assert_allclose(
        probabilities(calibration, tf.constant(SCORES, tf.float64)), calibration(SCORES), rtol=1e-9, atol=1e-12
    )


@pytest.fixture(scope="module")
def answering(served, tmp_path_factory):
    """The model of `served` with a card that says all, its bundle, and what is expected of the films."""
    pictures = served["inputs"][..., 0]
    steps = served["model_file"].preprocessing
    prepared = (pictures - pictures.min()) / np.ptp(pictures)
    vectors = [vector(one, LEVELS) for one in prepared]
    domain = replace(
        fit(LEVELS, vectors * 2, vectors), limit=float(np.median(fit(LEVELS, vectors * 2, vectors).of(vectors)))
    )
    card = replace(
        served["model_file"].card, thresholds=(Threshold("image", float(np.median(served["scores"])), "median"),),
        calibration=CardCalibration("platt", 2.0, -0.5, prevalence=0.3),
        training_domain=TrainingDomain(distance=domain), patients=(KnownPatients("key", ("a-hash-of-hers",), ()),),
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("answering")
    save_model(folder / "model.keras", served["model_file"].model, card)
    bundle = export_bundle(ModelFile(served["model_file"].model, card), folder / "saved", "says_all", winograd=False)
    return {"card": card, "domain": domain, "bundle": bundle, "model": folder / "model.keras", "steps": steps}


def expected(answering, scored, pictures):
    card, domain = answering["card"], answering["domain"]
    assert card.calibration is not None
    far = domain.of([vector(one, LEVELS) for one in pictures])
    return {
        "probability": card.calibration.function(scored.score),
        "decision": scored.score >= card.threshold("image"),
        "domain_distance": far,
        "abstain": far > domain.limit,
    }


def test_both_signatures_and_a_model_file_say_what_the_card_says(answering, film_files, served):
    from mammo_tf.reading import read

    bundle, scorer = open_bundle(answering["bundle"]), open_scorer(answering["model"])
    pictures = np.stack([answering["steps"].geometry(read(path).pixels).picture for path in film_files])
    for scored in (
        bundle.score_float(pictures), bundle.score_png([path.read_bytes() for path in film_files]),
        scorer.score(pictures),
    ):  # fmt: skip
        wanted = expected(answering, scored, pictures)
        for name in ("probability", "domain_distance"):
            np.testing.assert_allclose(scored.named[name], wanted[name], rtol=2e-4, atol=1e-5)
        assert scored.named["decision"].tolist() == wanted["decision"].astype(int).tolist()
        assert scored.named["abstain"].tolist() == wanted["abstain"].tolist()
        assert 0 < scored.named["decision"].sum() < len(pictures) and 0 < scored.named["abstain"].sum() < len(pictures)
    assert {name: len(values) for name, values in bundle.score_float(np.zeros((0, 128, 128))).named.items()} == {
        "score": 0
    }


def test_metadata_is_the_card_for_whoever_asks_without_the_patients(answering):
    signature = tf.saved_model.load(str(answering["bundle"])).signatures["metadata"]
    told = signature(asked=tf.constant(["who", "are you"]))["card"].numpy()
    assert len(told) == 2 and told[0] == told[1]
    card = ModelCard.from_json(json.loads(told[0]))
    assert card.identity and card.patients == ()
    assert card.thresholds == answering["card"].thresholds
    assert b"a-hash-of-hers" not in told[0]


def test_predict_writes_distance_and_abstention_and_warns(answering, film_files, tmp_path):
    report = predict(answering["bundle"], film_files, tmp_path / "p.csv")
    table = pd.read_csv(tmp_path / "p.csv")
    far = int(table["abstain"].sum())
    assert 0 < far < len(table)
    assert (table["abstain"] == (table["domain_distance"] > answering["domain"].limit)).all()
    assert any(f"{far} of {len(table)} pictures lie farther" in line for line in report.warnings)


def test_a_threshold_for_the_other_signature_makes_no_decision_here(served, tmp_path):
    card = replace(served["model_file"].card, thresholds=(Threshold("image", 0.5, "x", "serving_float"),))
    bundle = open_bundle(export_bundle(ModelFile(served["model_file"].model, card), tmp_path))
    outputs = {name: set(one["outputs"]) for name, one in bundle.description["signatures"].items()}
    assert "decision" in outputs["serving_float"] and "decision" not in outputs["serving_default"]


def test_a_card_that_says_nothing_adds_nothing(served, tmp_path):
    card = ModelCard(preprocessing=served["model_file"].preprocessing)
    bundle = open_bundle(export_bundle(ModelFile(served["model_file"].model, card), tmp_path))
    assert set(bundle.description["signatures"]["serving_float"]["outputs"]) == {"score", "heatmap"}
