"""`shift MODEL SITE`: a tiny network and pictures of a machine that it knows, of another one, and of both."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from mammo_tf.adaptation.model_site import DRAWS, site_of
from mammo_tf.adaptation.shift_model import Asked, shift_of_model
from mammo_tf.cli.main import main
from mammo_tf.data import TileSampling
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.bands import SCALES
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.models import End2End, SmallUNet, rebuild
from mammo_tf.reading.identity import key_fingerprint
from mammo_tf.recipes import Evaluation, Phase, Recipe
from mammo_tf.recipes.scores import measured, patient_hash, plan_of, trained_card
from mammo_tf.recipes.training_domain import with_domain
from mammo_tf.records import open_records, prepare
from mammo_tf.study import UNLABELLED, Finding, findings_to_json, make_manifest, read_manifest, write_manifest
from mammo_tf.training import Classification, ModelCard, Segmentation, Stage, TrainingDomain, load_model, save_model
from mammo_tf.training.model_card import KnownPatients, PatchInput
from mammo_tf.training.tasks import Scoring

STORED, SIZE, TILE = (96, 80), (64, 48), (32, 24)
STEPS = Preprocessing.preset("default", SIZE, mean=0.0, channels=1)
FEW = ("--replicates", "99")


def _network() -> keras.Model:
    """Positive where a spot is bright: the largest mean of 9x9 pixels, and that of the whole picture."""
    pictures = keras.Input((*SIZE, 1), name="pictures")
    spots = keras.layers.AveragePooling2D(9, 2, name="spots")(pictures)
    pooled = [keras.layers.GlobalMaxPooling2D(name="largest")(spots)]
    pooled.append(keras.layers.GlobalAveragePooling2D(name="mean")(pictures))
    answer = keras.layers.Dense(2, "softmax", name="answer")
    model = keras.Model(pictures, answer(keras.layers.Concatenate(name="both")(pooled)), name="spots")
    answer.set_weights([np.array([[0, 0.04], [0, 0.0]]), np.array([0, -5.0])])
    return model


def _site(
    folder: Path,
    patients: int,
    share: float,
    seed: int,
    gamma: float = 1.0,
    split: str = "",
    machine: str = "Aster",
    years: float | None = None,
) -> list[dict]:
    """Two views a patient, a bright disc in those of positive ones; a machine has a gamma. Where ages are told, by
    their mean, pictures are the brighter the older. Writes the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    rows, columns = np.mgrid[: STORED[0], : STORED[1]]
    breast, listed = np.hypot((rows - 48) / 44, columns / 64) < 1, []
    for patient in range(patients):
        generator = np.random.default_rng((seed, patient))
        sick, brighter = patient < share * patients, generator.normal(0, 0.03)
        brighter += 0.0 if years is None else (years - 50) * 0.005
        for view in ("CC", "MLO"):
            noise = cv2.GaussianBlur(generator.normal(size=STORED), None, 2)
            picture = 0.4 + brighter + 0.25 * noise
            place = (int(generator.integers(30, 66)), int(generator.integers(14, 36))) if sick else None
            if place:
                picture[np.hypot(rows - place[0], columns - place[1]) < 9] += 0.35
            picture = np.clip(picture, 0.1, 1) ** gamma * breast
            name = f"{machine}_{seed}_{patient}_{view}"
            cv2.imwrite(str(folder / f"{name}.png"), np.rint(picture * 65535).astype(np.uint16))
            listed.append({
                "image_id": name, "patient_id": f"{machine}{seed}-{patient}", "laterality": "L", "view": view,
                "modality": "FFDM", "label": "malignant" if sick else "normal", "manufacturer": machine,
                "path": f"{name}.png", "split": split, "age": None if years is None else round(50 + 200 * brighter, 1),
                "findings": findings_to_json([Finding("mass", "malignant", circle=(*place[::-1], 9))] if place else []),
            })  # fmt: skip
    return listed


def _prepared(folder: Path, listed: list[dict]) -> Path:
    write_manifest(make_manifest(listed), folder / "manifest.csv")
    prepare(make_manifest(listed), folder, folder / "records", STEPS, examples_per_shard=500)  # a worker a shard
    return folder / "records"


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on `home`, and sites: `more` positive patients, and `mixed`, of its machine and another one, unlabelled."""
    folder = tmp_path_factory.mktemp("places")
    splits = enumerate((("train", 40), ("validation", 30), ("test", 30)))
    parts = [_site(folder / "home", count, 0.4, number, split=split, years=50) for number, (split, count) in splits]
    home = _prepared(folder / "home", sum(parts, []))
    _prepared(folder / "more", _site(folder / "more", 40, 0.95, 11))
    _prepared(folder / "older", _site(folder / "older", 30, 0.4, 12, years=60))
    mixed = _site(folder / "mixed", 30, 0.4, 13) + _site(folder / "mixed", 30, 0.4, 14, 0.6, machine="Borage")
    mixed += _site(folder / "mixed", 3, 0.4, 15, machine="Celadon")
    _prepared(folder / "mixed", [row | {"label": "", "findings": "", "split": "train"} for row in mixed])
    records = open_records(home)
    recipe = Recipe("spots", "nothing is learned", (Phase((Stage("all", ("all",), 1e-3, 1),)),), network=End2End())
    recipe = replace(recipe, evaluation=Evaluation(replicates=20))
    model, card = _network(), trained_card(recipe, records, records.preprocessing, None)
    (folder / "run").mkdir()
    found = measured(model, records, card, recipe, folder / "run")
    card = with_domain(found.card, model, records, recipe, found.predictions)
    save_model(folder / "run" / "model.keras", model, card)
    assert found.metrics["validation"]["patient"]["auc"]["value"] > 0.8
    return folder


def test_the_card_tells_what_pictures_are_like(places: Path) -> None:
    domain = load_model(places / "run" / "model.keras").card.training_domain
    assert domain.distribution.pixels == "breast"
    assert domain.distribution.images == domain.bands.images == domain.pictures.images == 80
    assert (domain.bands.scales, domain.bands.spacing_mm) == (SCALES, None)
    assert domain.pictures.spread.patients == 40
    assert domain.pictures.spread.positives == 16
    middle = domain.pictures.quantiles.index(0.5)
    assert domain.pictures.spread.mean[middle] == pytest.approx(0.4, abs=0.03)
    assert domain.embedding.spread.patients == 30
    assert len(domain.embedding.mean) == 2


def _told(places: Path, site: str, model: str = "run", **more: object) -> tuple[dict, list[str]]:
    """`shift.json` and the lines; machines apart."""
    asked = Asked(replicates=99, by=("manufacturer", "software"))
    lines = shift_of_model(places / model, places / site, places / "out", asked=asked, **more)
    return json.loads((places / "out" / "shift.json").read_text()), lines


@pytest.mark.parametrize(
    ("model", "reference", "how"),
    [
        ("run", None, "distribution of F"), ("alone.keras", None, "distribution of F"),
        ("run", "home/records", "permutation of patients"),
    ],
)  # fmt: skip
def test_machines_are_told_apart(places: Path, model: str, reference: str | None, how: str) -> None:
    """With what the run left, with the card alone, and with pictures of the reference."""
    shutil.copy(places / "run" / "model.keras", places / "alone.keras")
    site = "mixed/manifest.csv" if reference is None and model == "run" else "mixed/records"
    stored, lines = _told(places, site, model, reference=None if reference is None else places / reference)
    assert [(one["machine"], one["kind"]) for one in stored["machines"]] == [
        ("Aster", "none"),
        ("Borage", "acquisition"),
    ]
    assert "nor are its pictures seen to differ (grey values and contrast p" in stored["machines"][0]["sentence"]
    assert "pictures of Borage of " in stored["machines"][1]["sentence"]
    assert {one["how"] for one in stored["evidence"]} == {how}
    levels = [one["evidence"][0]["alpha"] for one in (stored, *stored["machines"])]
    np.testing.assert_allclose(levels, [0.005, 0.0025, 0.0025], err_msg="half of it for each of two machines")
    assert stored["machines"][0]["alpha"] == pytest.approx(0.0075)
    assert "note: machines of fewer than 25 patients have no verdict: Celadon (3)" in lines
    assert "Borage:" in lines
    assert (model == "alone.keras") == any("as the model's card has them" in line for line in lines)


def test_pictures_of_every_machine_are_looked_at(places: Path) -> None:
    for images, whole, each, noted in ((60, 30, 30, False), (20, None, None, True)):
        asked = Asked(replicates=99, by=("manufacturer",), images=images)
        lines = shift_of_model(places / "run", places / "mixed" / "records", places / "out", asked=asked)
        stored = json.loads((places / "out" / "shift.json").read_text())
        told = [one["evidence"] for one in (stored, *stored["machines"])]
        counts = [evidence[0]["site_patients"] if evidence else None for evidence in told]
        assert counts == [whole, each, each]
        few = "note: grey values and contrast and features are of too few patients to be compared"
        assert (few in lines) == noted


def test_prevalence_is_not_taken_for_a_machine(places: Path) -> None:
    stored, lines = _told(places, "more/records")
    assert stored["kind"] in ("prevalence", "unclear"), lines
    assert stored["evidence"][0]["p_beyond"] > 0.05


def test_women_of_equal_age_are_compared(places: Path) -> None:
    """Older women, who are brighter, are another site where the reference tells no ages; else they are not."""
    stored = load_model(places / "run" / "model.keras")
    domain = stored.card.training_domain
    assert domain.pictures.spread.facts.columns == ("age",) and domain.pictures.spread.facts.densities == ()
    silent = {
        name: replace(one, spread=replace(one.spread, facts=None))
        for name, one in (("pictures", domain.pictures), ("embedding", domain.embedding))
    }
    card = replace(stored.card, training_domain=replace(domain, **silent))
    save_model(places / "ageless.keras", stored.model, card)
    without, _ = _told(places, "older/records", "ageless.keras")
    assert without["evidence"][0]["p"] < 0.001
    for reference in (None, places / "home" / "records"):
        with_ages, lines = _told(places, "older/records", reference=reference)
        assert with_ages["evidence"][0]["p"] > 0.01
        assert {one["how"] for one in with_ages["evidence"]} == {"distribution of F, age accounted for"}
        assert any("the patients differ in median age" in line for line in lines)


def _spot_map() -> keras.Model:
    """The probability of every pixel: how bright it is around it."""
    pictures = keras.Input((*TILE, 1), name="pictures")
    spots = keras.layers.AveragePooling2D(9, 1, "same", name="spots")(pictures)
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid", name="answer")
    model = keras.Model(pictures, answer(spots), name="spot_map")
    answer.set_weights([np.full((1, 1, 1, 1), 0.04), np.array([-5.0])])
    return model


@pytest.fixture(scope="module")
def pieces(places: Path) -> Path:
    """The same, with `tiles`, a run of a network of masks that sees tiles, and `patch.keras`, one that sees patches."""
    stored, records = load_model(places / "run" / "model.keras"), open_records(places / "home" / "records")
    phase = Phase((Stage("all", ("all",), 1e-3, 1),), TileSampling(Tiling(*TILE, overlap=0.2)))
    recipe = Recipe("spot_map", "nothing is learned", (phase,), task=Segmentation(threshold=0.9), network=SmallUNet())
    recipe = replace(recipe, evaluation=Evaluation(replicates=20))
    model, card = _spot_map(), trained_card(recipe, records, records.preprocessing, None)
    (places / "tiles").mkdir()
    found = measured(model, records, card, recipe, places / "tiles")
    save_model(
        places / "tiles" / "model.keras", model, with_domain(found.card, model, records, recipe, found.predictions)
    )
    patch = PatchInput(24, 24, 36)
    network = rebuild(stored.model, input_shape=(24, 24, 1))
    save_model(places / "patch.keras", network, replace(stored.card, patch=patch, training_domain=TrainingDomain()))
    return places


@pytest.mark.parametrize(
    ("model", "reference", "looks"),
    [("tiles", None, 1), ("tiles", "home/records", 1), ("patch.keras", "home/records", 2)],
)
def test_models_of_pieces_tell_machines_apart(pieces: Path, model: str, reference: str | None, looks: int) -> None:
    """Tiles are put together; patches lie anywhere in the breast at both places. A network of masks has no features."""
    stored, lines = _told(pieces, "mixed/records", model, reference=None if reference is None else pieces / reference)
    assert [(one["machine"], one["kind"]) for one in stored["machines"]] == [
        ("Aster", "none"),
        ("Borage", "acquisition"),
    ]
    assert len(stored["evidence"]) == looks
    assert lines[0].startswith("the shift is one of acquisition")


def test_where_a_patch_lies_does_not_hang_on_the_truth(pieces: Path) -> None:
    """Scores of a model of patches are those of the same pictures without labels and findings."""
    origin, records = load_model(pieces / "patch.keras"), open_records(pieces / "more" / "records")
    bare = replace(records, rows=records.rows.assign(label="", findings=""))
    told, untold = (site_of(origin, one, None, 0, "more", []).scores() for one in (records, bare))
    np.testing.assert_array_equal(told["score"], untold["score"])
    assert len(told) == DRAWS * len(records)
    assert told["label"].mean() == pytest.approx(0.95) and set(untold["label"]) == {UNLABELLED}
    placed = Classification().results(origin.model, records, records.positions(""), Scoring(
        replace(records.preprocessing, intensity_steps=origin.preprocessing.intensity_steps), 16,
        sampling=plan_of(origin.card, None, DRAWS),
    ), None)  # fmt: skip
    assert placed["score"].mean() > told["score"].mean() + 0.1, "patches on findings are called more often"


def test_whom_the_model_was_trained_on_is_left_out(places: Path) -> None:
    _, lines = _told(places, "home/records")
    assert "note: records: 80 pictures of patients whom the model was trained on are left out" in lines
    assert "records: 60 patients" in lines
    stored = load_model(places / "run" / "model.keras")
    save_model(places / "silent.keras", stored.model, replace(stored.card, patients=()))
    _, lines = _told(places, "home/records", "silent.keras")
    assert "note: records: 80 pictures of the split 'train' are left out" in lines
    assert "records: 63 patients" in _told(places, "mixed/records", "silent.keras")[1], "all of it is of that split"


def test_a_card_of_before_tells_of_scores_alone(places: Path) -> None:
    stored = load_model(places / "run" / "model.keras")
    domain = stored.card.training_domain
    bare = TrainingDomain(domain.images, domain.counts, domain.grey_mean)
    (places / "old").mkdir(exist_ok=True)
    for file in (places / "run").glob("predictions_*"):
        shutil.copy(file, places / "old")
    save_model(places / "old" / "model.keras", stored.model, replace(stored.card, training_domain=bare))
    told, lines = _told(places, "mixed/records", "old")
    assert told["evidence"] == [] and told["alpha"] == 0.025
    assert told["machines"][0]["kind"] == "none"
    assert any("card tells no features: name pictures with --reference" in line for line in lines)


def _everyone(places: Path) -> KnownPatients:
    """A card's word that its model was trained on all patients of a site."""
    patients = read_manifest(places / "more" / "manifest.csv")["patient_id"].unique()
    return KnownPatients(key_fingerprint(), tuple(map(patient_hash, patients)), ())


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("alone2.keras more/records", "alone2.keras is not there"),
        ("home more/records", "is neither a run folder nor a .keras file. Score pictures of both sites"),
        ("patches.keras more/records", "scores are of patches on known findings. Name records or a manifest"),
        ("blind.keras more/records", "does not say how pictures are prepared"),
        ("bare.keras more/records", "the card of PLACES/bare.keras tells no scores of validation. Name scores"),
        (
            "run large/records",
            "the model sees pictures of the size 64x48; those of PLACES/large/records are of the size",
        ),
        ("known.keras more/records", "the model was trained on all patients of records"),
        ("run nowhere", "nowhere"),
        ("run more/records --columns score=p", "--columns is of two files of scores"),
        ("run more/records --by colour", "records has no column 'colour'. Name others with --by"),
        ("run more/records --prevalence 7", "a prevalence of 7 is not a share"),
        ("alone.keras more/records --level image", "tells scores of the level patient alone"),
        ("alone.keras more/records --patient mean", "tells scores of the level patient alone"),
        ("run/predictions_test.csv more/records", "is a model or a folder, and shift compares files of scores"),
        ("run/predictions_test.csv run/predictions_validation.csv --reference home", "--reference belongs to a model"),
    ],
)
def test_bad_input_is_one_line(places: Path, words: str, says: str, capsys: pytest.CaptureFixture) -> None:
    stored = load_model(places / "run" / "model.keras")
    card = replace(stored.card, training_domain=TrainingDomain())
    for name, one in (
        ("bare", card), ("patches", replace(card, patch=PatchInput(64, 48, 64))), ("blind", ModelCard()),
        ("alone", stored.card), ("known", replace(card, patients=(_everyone(places),))),
    ):  # fmt: skip
        if name in words:
            save_model(places / f"{name}.keras", stored.model, one)
    if "large" in words:
        rows = _site(places / "large", 2, 0.4, 20)
        steps = Preprocessing.preset("default", (80, 64), channels=1)
        prepare(make_manifest(rows), places / "large", places / "large" / "records", steps)
    model, site, *more = words.split()
    assert main(["shift", f"{places}/{model}", f"{places}/{site}", *more, *FEW, "-o", f"{places}/refused"]) == 2
    error = capsys.readouterr().err
    assert says.replace("PLACES", str(places)) in error
    assert error.count("\n") == 1
    assert not (places / "refused").exists()
