"""The patient classifier equals scikit-learn's pipeline, and is stored without anything that runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mammo_tf.errors import MammoError
from mammo_tf.files import digest, read_json, write_json
from mammo_tf.patients.classifier import (
    PatientClassifier,
    Settings,
    fit_classifier,
    with_threshold,
)
from mammo_tf.patients.classifier_store import load_classifier, save_classifier
from mammo_tf.patients.search import grid_search
from mammo_tf.patients.table import PatientTable

Study = Callable[..., PatientTable]

FOREST = Settings("random_forest", components=5, trees=30, depth=None, leaf=3, max_features=0.3)
BOOSTING = Settings(components=5, trees=40, leaf=5)


def reference(settings: Settings):  # noqa: ANN201 - a scikit-learn pipeline
    if settings.model == "gradient_boosting":
        trees = GradientBoostingClassifier(
            learning_rate=settings.learning_rate, n_estimators=settings.trees, max_depth=settings.depth,
            min_samples_leaf=settings.leaf, subsample=settings.subsample, random_state=42,
        )  # fmt: skip
    else:
        trees = RandomForestClassifier(
            n_estimators=settings.trees, max_depth=settings.depth, min_samples_leaf=settings.leaf,
            max_features=settings.max_features, random_state=42,
        )  # fmt: skip
    return make_pipeline(StandardScaler(), PCA(settings.components, random_state=42), trees)


@pytest.mark.parametrize("settings", [BOOSTING, FOREST], ids=["boosting", "forest"])
def test_scores_are_those_of_scikit_learn(settings: Settings, tmp_path: Path, study: Study) -> None:
    train, test = study(), study(seed=1)
    expected = reference(settings).fit(train.values, train.labels).predict_proba(test.values)[:, 1]
    found = with_threshold(fit_classifier(train, settings), 0.4)
    np.testing.assert_allclose(found.scores(test), expected, atol=1e-12)
    assert expected.std() > 0.05
    save_classifier(found, tmp_path)
    again = load_classifier(tmp_path)
    np.testing.assert_array_equal(again.scores(test), found.scores(test))
    assert again.threshold == 0.4
    assert again.settings == settings


def test_an_unknown_age_is_the_training_median(study: Study) -> None:
    train = study()
    found = fit_classifier(train, BOOSTING)
    known, unknown = study(seed=1), study(seed=1)
    known.values[3, 0] = np.median(train.values[:, 0])
    unknown.values[3, 0] = np.nan
    np.testing.assert_array_equal(found.scores(known), found.scores(unknown))


@pytest.mark.filterwarnings("error")
def test_nobody_has_an_age(study: Study) -> None:
    table = study()
    table.values[:, 0] = np.nan
    found = fit_classifier(table, BOOSTING)
    assert found.medians[0] == 0
    assert found.scores(table).std() > 0.05
    assert grid_search(table, {"trees": (3,)}, BOOSTING, folds=2)[0].mean > 0.5


def test_columns_are_found_by_name(study: Study) -> None:
    found = fit_classifier(study(), BOOSTING)
    test = study(seed=1)
    order = np.arange(len(test.names))[::-1]
    turned = replace(test, names=tuple(test.names[number] for number in order), values=test.values[:, order])
    np.testing.assert_array_equal(found.scores(turned), found.scores(test))
    with pytest.raises(MammoError, match="no column 'f11_L_CC'"):
        found.scores(replace(test, names=test.names[:-1], values=test.values[:, :-1]))


def test_damaged_and_foreign_files(tmp_path: Path, study: Study) -> None:
    with pytest.raises(MammoError, match="no patient classifier"):
        load_classifier(tmp_path)
    save_classifier(fit_classifier(study(), BOOSTING), tmp_path)
    content = (tmp_path / "classifier.npz").read_bytes()
    (tmp_path / "classifier.npz").write_bytes(content[:-10])
    with pytest.raises(MammoError, match="not the file that was written"):
        load_classifier(tmp_path)
    (tmp_path / "classifier.npz").write_bytes(content)
    text = (tmp_path / "classifier.json").read_text()
    (tmp_path / "classifier.json").write_text(text.replace('"format": 1', '"format": 9'))
    with pytest.raises(MammoError, match="format 9"):
        load_classifier(tmp_path)


@pytest.mark.parametrize("model", [BOOSTING, FOREST], ids=["boosting", "forest"])
def test_files_that_fit_their_digest_and_make_no_classifier(model: Settings, tmp_path: Path, study: Study) -> None:
    classifier = fit_classifier(study(), model)
    forest = classifier.forest

    def trees(**changes: object) -> PatientClassifier:
        return replace(classifier, forest=replace(forest, **changes))

    for wrong, says in (
        (replace(classifier, medians=np.zeros(3)), "medians"),
        (replace(classifier, mean=np.full(17, "a")), "mean"),
        (replace(classifier, axes=classifier.axes[:2]), "axes"),
        (replace(classifier, scale=classifier.scale * 0), "scale"),
        (replace(classifier, threshold="high"), "threshold is not a number"),
        (replace(classifier, names=()), "no names"),
        (trees(feature=np.where(forest.feature >= 0, 99, -2)), "component that is not there"),
        (trees(left=np.where(forest.left >= 0, 0, -1)), "leads nowhere"),
        (trees(right=np.where(forest.left >= 0, 9999, -1)), "leads nowhere"),
        (trees(starts=forest.starts + 1), "begin and end"),
        (trees(value=forest.value + np.inf), "not a number"),
        (trees(value=forest.value[1:]), "value of the trees"),
    ):
        save_classifier(wrong, tmp_path)
        with pytest.raises(MammoError, match=says) as caught:
            load_classifier(tmp_path)
        assert caught.value.code == "model_damaged"
    save_classifier(classifier, tmp_path)
    stored = read_json(tmp_path / "classifier.json")
    for content in ([], None, stored | {"settings": stored["settings"] | {"leaf": 0}}, stored | {"names": 5}):
        write_json(tmp_path / "classifier.json", content)
        with pytest.raises(MammoError) as caught:
            load_classifier(tmp_path)
        assert caught.value.code == "model_damaged"
    arrays = (tmp_path / "classifier.npz").read_bytes()[:500]
    (tmp_path / "classifier.npz").write_bytes(arrays)
    write_json(tmp_path / "classifier.json", stored | {"digest": digest(tmp_path / "classifier.npz")})
    with pytest.raises(MammoError, match="cannot be read"):
        load_classifier(tmp_path)


def test_what_cannot_be_fitted(study: Study) -> None:
    table = study()
    with pytest.raises(MammoError, match="all 90 training patients are negative"):
        fit_classifier(replace(table, labels=np.zeros(90, np.int64)), BOOSTING)
    with pytest.raises(MammoError, match="30 components cannot be had of 90 patients and 17 columns"):
        fit_classifier(table, replace(BOOSTING, components=30))
    with pytest.raises(MammoError, match="'svm' is unknown"):
        Settings("svm")
    with pytest.raises(MammoError, match="needs a depth"):
        Settings(depth=None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth", 0), ("depth", 2.5), ("leaf", 0), ("trees", True), ("seed", -1), ("seed", 2**32),
        ("max_features", 5.0), ("max_features", 0.0), ("max_features", "foo"), ("subsample", 0.0),
        ("learning_rate", float("nan")), ("learning_rate", "fast"),
    ],
)  # fmt: skip
def test_settings_that_no_ensemble_takes(field: str, value: object) -> None:
    for base in (BOOSTING, FOREST):
        with pytest.raises(MammoError) as caught:
            replace(base, **{field: value})
        assert caught.value.code == "settings_wrong"
        assert repr(value) in caught.value.sentence
