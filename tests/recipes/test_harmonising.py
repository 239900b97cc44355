"""Harmonising in a recipe: from the command that makes the file to a model whose preprocessing holds both steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import make_predictions, read_predictions
from mammo_tf.fields import set_fields
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import Harmonising, Machine, with_harmonising
from mammo_tf.recipes import Evaluation, Preparation, Recipe, run
from mammo_tf.recipes.inputs import network_input
from mammo_tf.recipes.matching import left_unmatched, other_machines
from mammo_tf.recipes.recipe import Matching
from mammo_tf.recipes.training_domain import with_domain
from mammo_tf.records import Records, open_records, prepare
from mammo_tf.study import Projection
from mammo_tf.training import ModelCard, load_model, save_model

SIZE = (64, 64)


@pytest.fixture(scope="module")
def sites(
    films: Path, soft_films: tuple[pd.DataFrame, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Records]:
    """The films, and the same from a machine that smooths and darkens, half of them from a newer one of its kind."""
    root = tmp_path_factory.mktemp("sites")
    manifest, soft = soft_films
    found = {}
    for name, folder in (("sharp", films.parent), ("soft", soft)):
        version = [str(int(patient[1:]) % 2) for patient in manifest["patient_id"]]
        listed = manifest.assign(manufacturer=name, software=version if name == "soft" else "1")
        prepare(listed, folder, root / f"{name}_records", Preprocessing.preset("default", SIZE, channels=1))
        found[name] = open_records(root / f"{name}_records")
    return found


@pytest.fixture(scope="module")
def file(sites: dict[str, Records], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "soft.json"
    words = ["harmonise", str(sites["sharp"].folder), str(sites["soft"].folder), "-o", str(path)]
    assert main(words) == 0
    return path


@pytest.fixture(scope="module")
def start(sites: dict[str, Records], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of the sharp site: texture makes its score."""
    pictures = keras.Input((*SIZE, 1))
    edges = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)(pictures)
    tensor = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.01)(keras.layers.ReLU()(edges)))
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))
    model.layers[1].set_weights([np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)[..., None, None]])
    model.layers[-1].set_weights([np.array([[-1, 1]], np.float32), np.zeros(2, np.float32)])
    path = tmp_path_factory.mktemp("start") / "model.keras"
    save_model(path, model, ModelCard(preprocessing=sites["sharp"].preprocessing))
    return path


def recipe(**preparation: object) -> Recipe:
    asked = Preparation(preset="start", mean="start", channels=1, **preparation)  # type: ignore[arg-type]
    return Recipe("scored", "as it came", preparation=asked, evaluation=Evaluation(replicates=20), needs_start=True)


def test_the_command_writes_what_fit_gives(
    sites: dict[str, Records], file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Harmonising.load(file)
    assert found == fit(sites["sharp"], sites["soft"])
    words = ["harmonise", str(sites["sharp"].folder), str(sites["soft"].folder)]
    assert main([*words, "-o", str(tmp_path / "a.json"), "--each-machine", "--patients", "9"]) == 0
    told = capsys.readouterr().out
    assert "images of 7 patients (soft, 0)" in told
    assert f"contrast below {found.scale_words[0]}: times" in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_soft-0.json", "a_soft-1.json"]
    for version in "01":
        machine = Harmonising.load(tmp_path / f"a_soft-{version}.json")
        assert [one.software for one in machine.target.machines] == [version]
    assert main([*words, "-o", str(tmp_path / "a.csv")]) == 2
    assert main(["harmonise", str(tmp_path), str(tmp_path), "-o", str(tmp_path / "b.json")]) == 2
    assert "holds no prepared images" in capsys.readouterr().err


def test_a_model_stands_for_the_pictures_it_was_trained_on(
    sites: dict[str, Records], start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = load_model(start)
    unscored = make_predictions(sites["sharp"].rows[:0], [], [])
    model.card.training_domain.counts.update(manufacturer={"sharp": 9}, software={"1": 9})
    card = with_domain(model.card, model.model, sites["sharp"], recipe(), unscored)
    save_model(tmp_path / "told.keras", model.model, card)
    words = [str(sites["soft"].folder), "-o", str(tmp_path / "a.json"), "--figure"]
    assert main(["harmonise", str(tmp_path / "told.keras"), *words]) == 0
    assert (tmp_path / "a.svg").read_text().count("<image") == 2  # none of the source
    found, of_pictures = Harmonising.load(tmp_path / "a.json"), fit(sites["sharp"], sites["soft"])
    np.testing.assert_allclose(found.robust_ratios, of_pictures.robust_ratios, rtol=0.15)
    assert np.abs(found.curve.outputs - of_pictures.curve.outputs).max() < 0.01
    assert found.source.patients == of_pictures.source.patients and found.source.machines == (
        Machine("sharp", "", "1"),
    )
    assert found.in_mm == of_pictures.in_mm
    capsys.readouterr()
    assert main(["harmonise", str(start), *words]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "card does not tell the grey values" in told and "Give records of the site" in told
    three = sites["sharp"].part(sites["sharp"].positions("train")[:3])
    few = with_domain(model.card, model.model, three, recipe(), unscored)
    with pytest.raises(MammoError) as caught:
        fit(few, sites["soft"])
    assert caught.value.code == "too_few_patients"
    with pytest.raises(MammoError) as caught:
        fit(replace(card, preprocessing=Preprocessing.preset("legacy", SIZE, channels=1)), sites["soft"])
    assert caught.value.code == "preprocessing_differs"


def test_a_doubtful_one_is_told_and_shown(
    sites: dict[str, Records], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mammo_tf.adaptation.harmonising_notes.MOST_DIFFERENCE", 1.0001)
    words = ["harmonise", str(sites["sharp"].folder), str(sites["soft"].folder), "-o", str(tmp_path / "a.json")]
    assert main([*words, "--figure"]) == 0
    assert "something other than tissue is in the pictures; look at the figure" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.png", "a.svg"]
    text = (tmp_path / "a.svg").read_text()
    assert text.count("<image") == 3 and "(soft, 0; soft, 1)" in text


def test_a_run_gives_a_model_that_harmonises(
    sites: dict[str, Records], file: Path, start: Path, tmp_path: Path
) -> None:
    soft, found = sites["soft"], Harmonising.load(file)

    asked = set_fields(recipe(), [("preparation.harmonising", str(file))])
    assert Recipe.from_json(asked.to_json()) == asked
    run(asked, tmp_path / "harmonised", soft.folder, start=start)
    stored = load_model(tmp_path / "harmonised" / "model.keras")
    assert stored.preprocessing == with_harmonising(sites["sharp"].preprocessing, found)

    def asked_of(model: keras.Model, records: Records, steps: Preprocessing) -> np.ndarray:
        given = [
            steps.intensity(records.picture(position) / np.float32(65535), records.breast(position))
            for position in soft.positions("test").tolist()
        ]
        return np.asarray(model(np.stack(given)))[:, 1]

    table = read_predictions(tmp_path / "harmonised" / "predictions_test.csv").set_index("image_id")
    scores = table["score"][soft.rows["image_id"].iloc[soft.positions("test")]].to_numpy()
    np.testing.assert_allclose(asked_of(stored.model, soft, stored.preprocessing), scores, rtol=0, atol=1e-5)
    before = sites["sharp"].preprocessing
    due, plain = (asked_of(stored.model, sites[name], before) for name in ("sharp", "soft"))  # the same women
    assert np.abs(plain - due).mean() > 3 * np.abs(scores - due).mean()
    assert "names none" in left_unmatched(stored, soft.preprocessing)


def test_pictures_of_other_machines_are_told(sites: dict[str, Records], file: Path) -> None:
    asked = recipe(harmonising=str(file))
    assert other_machines(asked, sites["soft"]) == other_machines(recipe(), sites["sharp"]) == ""
    assert f"24 of 24 pictures are of machines that {file} is not of: sharp, 1" == other_machines(asked, sites["sharp"])


def test_files_that_do_not_serve_are_refused_in_a_line(
    sites: dict[str, Records], file: Path, start: Path, tmp_path: Path
) -> None:
    found, soft = Harmonising.load(file), sites["soft"]

    def changed(name: str, **facts: object) -> Harmonising:
        parts = (found.source, found.target)
        if name == "histogram":
            parts = tuple(replace(part, histogram=replace(part.histogram, **facts)) for part in parts)
        else:
            parts = tuple(replace(part, **facts) for part in parts)
        return Harmonising(*parts)

    changed("histogram", geometry=("fit method=area",)).save(tmp_path / "geometry.json")
    changed("", size=(32, 32)).save(tmp_path / "size.json")
    changed("histogram", projection=Projection("slice")).save(tmp_path / "projection.json")
    found.target.histogram.save(tmp_path / "histogram.json")
    (tmp_path / "cut.json").write_text(file.read_text()[:5000])
    for name, code, words in (
        ("geometry", "preprocessing_differs", "prepared by fit method=area; those of"),
        ("size", "preprocessing_differs", "of the size 32x32; those of"),
        ("projection", "preprocessing_differs", "slice"),
        ("histogram", "harmonising_wrong", "does not hold a harmonising"),
        ("cut", "json_broken", "not readable"),
        ("gone", "file_missing", "is not there"),
    ):
        path = tmp_path / f"{name}.json"
        with pytest.raises(MammoError) as caught:
            run(recipe(harmonising=str(path)), tmp_path / "run", soft.folder, start=start)
        assert caught.value.code == code and words in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(MammoError, match="holds a curve of its own"):
        recipe(harmonising=str(file), matching=Matching("a.json"))
    unmasked = replace(soft, preprocessing=Preprocessing.preset("legacy", SIZE, channels=1))
    with pytest.raises(MammoError, match="prepared by"):
        network_input(recipe(harmonising=str(file)), unmasked, load_model(start), unmasked.preprocessing)
