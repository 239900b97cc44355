"""The runner: run folders that resume, start models that are compared, rates that reach their stage."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pandas as pd
import pytest

from mammo_tf.data import Augmentation, ImagePatchSampling, PatchSampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc, read_metrics, read_predictions
from mammo_tf.fields import set_fields
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.intensity_steps import HistogramLookup
from mammo_tf.models import End2End, PatchClassifier, description_of, end2end, weights_digest
from mammo_tf.recipes import (
    Evaluation,
    Phase,
    Preparation,
    Recipe,
    Training,
    load_recipe,
    measure,
    run,
    smoke,
    train,
    trainer,
)
from mammo_tf.recipes.environment import environment
from mammo_tf.recipes.inputs import training_mean, with_auto_levels
from mammo_tf.recipes.proof import known_patients, read_proof
from mammo_tf.recipes.report import finish_run, report_run
from mammo_tf.recipes.scores import terms_of, trained_card
from mammo_tf.recipes.smoke_study import smoke_material
from mammo_tf.records import Records, prepare
from mammo_tf.records.ledger import entries
from mammo_tf.study import read_manifest
from mammo_tf.training import (
    Classification,
    ModelCard,
    ModelFile,
    Stage,
    TrainingDomain,
    load_model,
    save_model,
)
from mammo_tf.training.model_card import TERMS_NOT_TOLD

sys.path.insert(0, str(Path(__file__).parents[1]))
from stump import STUMP  # noqa: E402 - it lies above this file

PIPELINES = Path(__file__).parents[2] / "pipelines"
BASELINE = Recipe(
    name="little",
    about="patches, then whole images",
    network=End2End(STUMP, width=1 / 32),
    preparation=Preparation(preset="legacy"),
    training=Training(batch_size=8, augmentation=Augmentation(rotation=0, shift=0.02, zoom=0)),
    evaluation=Evaluation(replicates=50),
    phases=(
        Phase(
            (Stage("patch", ("all",), 1e-3, 1),),
            PatchSampling({"malignant": 1}, 32, 32),
            PatchClassifier(STUMP, classes=2, width=1 / 32),
        ),
        Phase((Stage("whole", ("all",), 1e-3, 2, stop_patience=0),)),
    ),
)
ADAPTATION = replace(
    BASELINE, name="adapted", about="two stages", needs_start=True, preparation=Preparation(preset="start"),
    phases=(Phase((Stage("stage_1", ("block_2", "output"), 1e-3, 1), Stage("stage_2", ("all",), 1e-4, 1))),),
)  # fmt: skip


@dataclass(frozen=True)
class Flat:
    """A classifier without pooling, hence without an activation map."""

    kind: ClassVar[str] = "flat"

    def build(self, shape: tuple) -> keras.Model:
        pictures = keras.Input(shape, name="pictures")
        flat = keras.layers.Flatten()(keras.layers.Conv2D(2, 9, 16)(pictures))
        return keras.Model(pictures, keras.layers.Dense(2, "softmax")(flat))


@pytest.fixture(scope="module")
def baseline(records: Records, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "baseline"
    finish_run(run(BASELINE, folder, records.folder))
    return folder


def test_the_card_tells_the_training_domain(baseline: Path, records: Records) -> None:
    """Pictures of training, scores and features of validation; what a network says and is does not hang on it."""
    stored = load_model(baseline / "model.keras")
    domain = stored.card.training_domain
    train_images, validation_images = (len(records.positions(split)) for split in ("train", "validation"))
    assert (domain.distribution.images, domain.distribution.pixels) == (train_images, "not black")
    assert domain.distribution.values[-1] == 1
    assert domain.bands is None and domain.pictures is None, "the breast was not looked for"
    validation = read_predictions(baseline / "predictions_validation.csv")
    scores = domain.validation_scores
    assert (scores.level, scores.aggregates) == ("patient", {"breast": "mean", "patient": "maximum"})
    assert scores.images == len(validation) == validation_images
    assert sum(scores.counts) == validation["patient_id"].nunique()
    assert sum(scores.positive_counts) == validation.groupby("patient_id")["label"].max().sum()
    assert scores.edges[0] == 0 and scores.edges[-1] == 1
    embedding = domain.embedding
    assert len(embedding.mean) == stored.model.layers[-1].input.shape[-1] == len(embedding.axes[0])
    assert embedding.images == validation_images
    assert embedding.spread.patients == sum(scores.counts)
    assert len(embedding.spread.covariance) == len(embedding.axes)
    bare = replace(stored.card, training_domain=TrainingDomain(), weights="", identity="").sealed(stored.model)
    assert (bare.identity, bare.weights) == (stored.card.identity, stored.card.weights)


def test_the_number_of_threads_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "3")
    monkeypatch.setenv("TF_NUM_INTEROP_THREADS", "many")
    told = environment()["threads"]
    assert told["intra_op"] == 3
    assert told["inter_op"] >= 1


def test_a_run_folder_holds_what_it_should(baseline: Path, records: Records) -> None:
    for name in ("recipe.json", "environment.json", "log.csv", "model.keras", "metrics.json", "report.html"):
        assert (baseline / name).is_file(), name
    assert Recipe.from_json(read_json(baseline / "recipe.json")["recipe"]) == BASELINE
    assert min(read_json(baseline / "environment.json")["threads"].values()) >= 1
    report = (baseline / "report.html").read_text()
    for words in (
        "in an operation",
        "end2end: backbone stump",
        "classification: column label, positives malignant, high_risk",
    ):
        assert words in report, words
    assert load_model(baseline / "model.keras").card.identity[:12] in report
    assert read_json(baseline / "predictions_test.json")["network"]["weights"] == weights_digest(
        load_model(baseline / "model.keras").model
    )
    log = pd.read_csv(baseline / "log.csv")
    assert log["stage"].tolist() == ["patch", "whole", "whole"]
    table = read_predictions(baseline / "predictions_test.csv")
    assert sorted(table["image_id"]) == sorted(records.rows.loc[records.rows["split"] == "test", "image_id"])
    metrics = read_json(baseline / "metrics.json")
    assert metrics["test"]["image"]["auc"]["value"] == pytest.approx(auc(table["label"], table["score"]))


def test_the_model_carries_its_preprocessing_and_training_mean(baseline: Path, records: Records) -> None:
    stored = load_model(baseline / "model.keras")
    assert stored.preprocessing is not None
    mean = records.means[records.positions("train")].mean() * 65535 * 0.003891
    steps = {step["step"]: step for step in stored.preprocessing.to_json()["intensity"]}
    assert steps["mean"]["mean"] == pytest.approx(mean, abs=0.01)
    levels = read_json(baseline / "metrics.json")["validation"]
    found = {level: numbers["threshold"]["value"] for level, numbers in levels.items()}
    told = {one.level: one.value for one in stored.card.thresholds}
    assert told == {level: value for level, value in found.items() if value is not None}
    assert stored.card.training_domain.counts["modality"] == {"FILM": stored.card.training_domain.images}
    assert stored.card.network == description_of(stored.model) == BASELINE.network
    assert stored.card.task == BASELINE.task
    (patients,) = stored.card.patients
    assert len(patients.train) == records.rows.loc[records.rows["split"] == "train", "patient_id"].nunique()
    assert stored.card == stored.card.sealed(stored.model)
    assert ModelCard.from_json(stored.card.to_json()) == stored.card
    position = int(records.positions("test")[0])
    pictures = stored.preprocessing.intensity(records.picture(position) / np.float32(65535))[None]
    table = read_predictions(baseline / "predictions_test.csv").set_index("image_id")
    expected = table.loc[records.rows["image_id"][position], "score"]
    assert float(stored.model.predict(pictures, verbose=0)[0, 1]) == pytest.approx(expected, abs=1e-5)


def test_run_again_resumes_and_another_recipe_is_refused(baseline: Path, records: Records, tmp_path: Path) -> None:
    before, model = read_predictions(baseline / "predictions_test.csv"), (baseline / "model.keras").read_bytes()
    run(BASELINE, baseline, records.folder)
    assert (baseline / "model.keras").read_bytes() == model, "what was started from this run must find it unchanged"
    pd.testing.assert_frame_equal(read_predictions(baseline / "predictions_test.csv"), before)
    other = replace(BASELINE, training=replace(BASELINE.training, seed=9))
    with pytest.raises(MammoError, match=r"holds another run \(training.seed differs\)"):
        run(other, baseline, records.folder)
    with pytest.raises(MammoError, match="holds no finished run"):
        report_run(tmp_path)
    for name in ("metrics.json", "recipe.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(MammoError, match="not what a run wrote"):
        report_run(tmp_path)


def classifier(path: Path, shape: tuple[int | None, ...], *outputs: int, inputs: int = 1) -> Path:
    """Any little model, without preprocessing."""
    pictures = [keras.Input(shape) for _ in range(inputs)]
    joined = keras.layers.Add()(pictures) if inputs > 1 else pictures[0]
    pooled = keras.layers.GlobalAveragePooling2D()(joined) if len(shape) == 3 else joined
    keras.Model(pictures, [keras.layers.Dense(units)(pooled) for units in outputs]).save(path)
    return path


@pytest.mark.parametrize(
    ("shape", "outputs", "inputs", "told"),
    [
        ((128, 128, 3), (5,), 1, "takes 128x128x3 and gives 5;"),
        ((None, None, 3), (1,), 1, "takes ?x?x3 and gives 1;"),
        ((4,), (2,), 1, "takes 4 and gives 2;"),
        ((128, 128, 3), (2, 2), 1, "gives 2 and 2;"),
        ((128, 128, 3), (2,), 2, "takes 128x128x3 and 128x128x3 and gives 2;"),
    ],
)
def test_a_start_model_that_is_no_classifier_of_whole_images(
    shape: tuple, outputs: tuple, inputs: int, told: str, records: Records, tmp_path: Path
) -> None:
    start = classifier(tmp_path / "start.keras", shape, *outputs, inputs=inputs)
    with pytest.raises(MammoError, match="gives two probabilities") as caught:
        run(ADAPTATION, tmp_path / "run", records.folder, start=start)
    assert caught.value.code == "start_unfit"
    assert told in caught.value.sentence
    assert not (tmp_path / "run").exists()


def test_a_start_model_of_another_number_of_channels(records: Records, tmp_path: Path) -> None:
    start = classifier(tmp_path / "start.keras", (128, 128, 1), 2)
    recipe = replace(ADAPTATION, preparation=Preparation(preset="legacy"))
    with pytest.raises(MammoError, match="takes 1 channels, and the pictures are prepared with 3"):
        run(recipe, tmp_path / "run", records.folder, start=start)


def test_a_start_model_for_pictures_too_small_for_it(films: Path, golden: Path, tmp_path: Path) -> None:
    small = Preprocessing.preset("legacy", (96, 96))
    prepare(read_manifest(films), films.parent, tmp_path / "small", small)
    with pytest.raises(MammoError) as caught:
        run(ADAPTATION, tmp_path / "run", tmp_path / "small", golden / "end2end" / "vgg16_512x1_w32_resumed_opt.h5")
    assert caught.value.code == "size_too_small"
    assert "96x96" in caught.value.sentence
    assert not (tmp_path / "run" / "model.keras").exists()


def test_predictions_carry_the_decision_and_the_manifests_own_columns(baseline: Path, records: Records) -> None:
    table = pd.read_csv(baseline / "predictions_test.csv")
    threshold = load_model(baseline / "model.keras").card.threshold("image")
    assert table["decision"].tolist() == (table["score"] >= threshold).astype(int).tolist()
    force = dict(zip(records.rows["image_id"], records.rows["compression_force"], strict=True))
    assert table["compression_force"].tolist() == [int(force[image]) for image in table["image_id"]]


def test_another_column_is_another_classifier(golden: Path, records: Records, tmp_path: Path) -> None:
    """Density is a recipe and not a patch; pictures whose cell is empty are neither trained on nor measured."""
    recipe = set_fields(ADAPTATION, [("task.column", "density"), ("task.positives", '["C", "D"]')])
    recipe = replace(recipe, evaluation=replace(recipe.evaluation, calibration="platt"))
    recipe = replace(recipe, phases=(Phase(recipe.stages[:1]),))
    lines: list[str] = []
    start = golden / "version_0_1" / "model.keras"  # which does not say what it was built with
    result = run(recipe, tmp_path / "run", records.folder, start=start, say=lines.append)
    assert result.card.network is None
    density = records.rows.set_index("image_id")["density"]
    for split in ("train", "validation", "test"):
        told = density[(records.rows["split"] == split).to_numpy()]
        empty = int((told == "").sum())
        assert empty
        assert f"{split} {(told != '').sum()} ({(told == 'D').sum()} positive, {empty} unlabelled)" in "\n".join(lines)
    assert result.card.task == Classification("density", ("C", "D"))
    table = pd.read_csv(tmp_path / "run" / "predictions_test.csv", dtype={"image_id": "str"})
    assert table["label"].tolist() == [int(density[image] == "D") for image in table["image_id"]]
    assert table["probability"].between(0, 1).all()
    assert len(table) == (density[(records.rows["split"] == "test").to_numpy()] != "").sum()


@pytest.mark.long
def test_a_network_without_an_activation_map_still_gets_its_report(records: Records, tmp_path: Path) -> None:
    recipe = replace(
        BASELINE, name="flat", network=Flat(), phases=(Phase((Stage("one", ("all",), 1e-3, 1),)),),
    )  # fmt: skip
    assert finish_run(run(recipe, tmp_path / "run", records.folder)).is_file()


def test_what_version_0_1_left_is_told(golden: Path, records: Records, tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    shutil.copy(golden / "version_0_1" / "recipe.json", tmp_path / "recipe.json")
    with pytest.raises(MammoError, match="was written by version 0.1, whose recipes had other fields"):
        run(BASELINE, tmp_path, records.folder)
    with pytest.raises(MammoError, match="was written by version 0.1"):
        Recipe.from_json(read_json(golden / "version_0_1" / "recipe.json")["recipe"])


def test_phases_that_do_not_fit_are_told_before_they_are_trained(records: Records, tmp_path: Path) -> None:
    stage = Stage("one", ("all",), 1e-3, 1)
    with pytest.raises(MammoError, match="the last phase has no network of its own"):
        replace(BASELINE, phases=(Phase((stage,), PatchSampling(), PatchClassifier()),))
    wrong = replace(BASELINE, phases=(Phase((stage,), PatchSampling({"malignant": 2}, 128, 128)),))
    with pytest.raises(MammoError, match="gives 2; its plan has 3 classes"):
        run(wrong, tmp_path / "run", records.folder)
    scored = replace(BASELINE, evaluation=replace(BASELINE.evaluation, plan=ImagePatchSampling(pixels=1024)))
    with pytest.raises(MammoError, match="does not fit into the image"):
        run(scored, tmp_path / "run", records.folder)
    assert not (tmp_path / "run" / "log.csv").exists()
    assert not (tmp_path / "run" / "model.keras").exists()


@pytest.mark.long
def test_a_model_file_of_other_weights_is_written_anew(baseline: Path, records: Records, tmp_path: Path) -> None:
    """As after another training in the same folder: what lies there together belongs together."""
    recipe = replace(BASELINE, name="none", phases=(), preparation=Preparation(preset="start", mean="start"))
    first = run(recipe, tmp_path / "run", records.folder, start=baseline)
    own = load_model(baseline / "model.keras").card
    assert first.card.training_domain == own.training_domain, "measured here, not trained here"
    assert first.card.patients == own.patients
    other = end2end(input_shape=(128, 128, 3), width=1 / 32)
    save_model(tmp_path / "run" / "model.keras", other, first.card)
    again = run(recipe, tmp_path / "run", records.folder, start=baseline)
    assert load_model(tmp_path / "run" / "model.keras").card.weights == again.card.weights == first.card.weights


@pytest.mark.parametrize(
    ("name", "contents"),
    [
        ("environment.json", ("null", "[]", "{}", '{"packages": 5}', "[" * 100_000, "1" * 5000, "")),
        ("recipe.json", ('{"recipe": {"format": 2}, "asked": {}}', '{"recipe": {}, "asked": 5}', "[")),
        ("proof.json", ('{"start_patients": "maybe"}', "[]", '{"measurements": "x"}')),
        ("metrics.json", ('{"test": {"image": {"auc": {"value": "x"}}}}', "[]")),
        ("figures/examples.json", ("", "null", "[5]", '[{"picture": "a.png"}]', '[{"score": "high"}]')),
        ("model.keras", ("", "PK", "no model")),
    ],
)
def test_a_damaged_file_of_a_run_is_told(name: str, contents: tuple[str, ...], baseline: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree(baseline, run_folder, ignore=shutil.ignore_patterns("checkpoints"))
    for content in contents:
        (run_folder / name).write_text(content)
        with pytest.raises(MammoError):
            report_run(run_folder)


@pytest.mark.long
def test_a_damaged_model_file_is_written_again(baseline: Path, records: Records, tmp_path: Path) -> None:
    shutil.copytree(baseline, tmp_path / "run")
    path = tmp_path / "run" / "model.keras"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (b"", whole[: len(whole) // 2], bytes(flipped)):
        path.write_bytes(content)
        trained = train(BASELINE, tmp_path / "run", records.folder)
        measure(trained, BASELINE)
        assert load_model(path).card.weights == load_model(baseline / "model.keras").card.weights


def test_a_start_model_has_no_place_in_a_recipe_that_begins_with_a_network_of_its_own(
    baseline: Path, records: Records, tmp_path: Path
) -> None:
    with pytest.raises(MammoError, match="begins with a network of its own, not with"):
        run(BASELINE, tmp_path / "run", records.folder, start=baseline)


class _StopError(Exception):
    pass


@pytest.mark.long
def test_a_stopped_run_ends_where_an_uninterrupted_one_ends(baseline: Path, records: Records, tmp_path: Path) -> None:
    """Trained on and measured by `train` and `measure`, which stand alone."""

    def say(line: str) -> None:
        if line.startswith("stage patch"):
            raise _StopError

    with pytest.raises(_StopError):
        run(BASELINE, tmp_path / "run", records.folder, say=say)
    trained = train(BASELINE, tmp_path / "run", records.folder)
    assert not (tmp_path / "run" / "metrics.json").exists()
    assert (trained.card.thresholds, trained.card.recipe, trained.origin) == ((), "little", None)
    assert description_of(trained.model) == BASELINE.network
    result = measure(trained, BASELINE)
    assert load_model(tmp_path / "run" / "model.keras").card == result.card
    whole, resumed = (read_predictions(folder / "predictions_test.csv") for folder in (baseline, tmp_path / "run"))
    np.testing.assert_allclose(whole["score"], resumed["score"], atol=1e-6)


@pytest.mark.long
def test_a_run_with_dropout_stopped_in_every_stage_ends_where_an_uninterrupted_one_ends(
    baseline: Path, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped within stage 1, between the stages, and within stage 2; dropout and augmentation on."""
    stages = tuple(
        Stage(name, ("all",), 1e-3, 2, dropout=rate, stop_patience=0, rate_patience=0)
        for name, rate in (("stage_1", 0.2), ("stage_2", 0.5))
    )
    recipe = replace(ADAPTATION, phases=(Phase(stages),))
    whole = run(recipe, tmp_path / "whole", records.folder, baseline)
    written = trainer.write_log

    def stopping_at(rows: int, of_stage: int) -> Callable[..., None]:
        def write_log(history: list, path: Path) -> None:
            written(history, path)
            if len(history) == rows and (tmp_path / "stopped" / "checkpoints" / f"stage_{of_stage}").is_dir():
                raise _StopError

        return write_log

    for rows, of_stage in ((1, 1), (2, 1), (3, 2)):
        monkeypatch.setattr(trainer, "write_log", stopping_at(rows, of_stage))
        with pytest.raises(_StopError):
            run(recipe, tmp_path / "stopped", records.folder, baseline)
    monkeypatch.setattr(trainer, "write_log", written)
    keras.utils.set_random_seed(77)
    resumed = run(recipe, tmp_path / "stopped", records.folder, baseline)
    np.testing.assert_allclose(whole.predictions["score"], resumed.predictions["score"], atol=1e-6)
    for weights, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_allclose(weights, other, atol=1e-6)


def test_fine_tuning_starts_from_a_run_and_is_compared_with_it(
    baseline: Path, records: Records, tmp_path: Path
) -> None:
    result = run(ADAPTATION, tmp_path / "run", records.folder, start=baseline)
    before = read_predictions(tmp_path / "run" / "before" / "predictions_test.csv")
    own = read_predictions(baseline / "predictions_test.csv")
    np.testing.assert_allclose(before["score"], own["score"], atol=1e-6)
    after = result.predictions[result.predictions["split"] == "test"]
    difference = result.comparison["test"]["image"]["auc_difference"]["value"]
    assert difference == pytest.approx(auc(after["label"], after["score"]) - auc(own["label"], own["score"]))
    start, end = load_model(baseline / "model.keras").model, result.model
    for name in ("conv2d_1", "conv2d_2"):
        assert not np.array_equal(start.get_layer(name).get_weights()[0], end.get_layer(name).get_weights()[0])


@pytest.mark.long
def test_a_published_file_starts_at_another_size(records: Records, golden: Path, tmp_path: Path) -> None:
    path = golden / "end2end" / "vgg16_512x1_w32_resumed_opt.h5"
    lines: list[str] = []
    recipe = replace(ADAPTATION, phases=(Phase(ADAPTATION.stages[:1]),))
    result = run(recipe, tmp_path / "run", records.folder, start=path, say=lines.append)
    assert result.model.input.shape == (None, 128, 128, 3)
    assert not result.comparison
    assert any("does not say what was subtracted" in line and "import-legacy" in line for line in lines)
    assert "does not say what was subtracted" in report_run(tmp_path / "run").read_text()
    asked = replace(recipe, preparation=Preparation(preset="start", mean="start"))
    with pytest.raises(MammoError, match="the start model does not say what was subtracted"):
        run(asked, tmp_path / "other", records.folder, start=path)


@pytest.mark.long
def test_a_start_model_of_another_preset_and_size_is_scored_as_it_came(
    baseline: Path, films: Path, records: Records, tmp_path: Path
) -> None:
    """From a manifest its own pictures are prepared; records are what they are, and the comparison says so."""
    recipe = replace(
        ADAPTATION, phases=(Phase(ADAPTATION.stages[:1]),),
        preparation=Preparation(preset="default", rows=160, columns=128),
    )  # fmt: skip
    result = run(recipe, tmp_path / "run", films, start=baseline)
    assert result.records.size == (160, 128)
    before = read_predictions(tmp_path / "run" / "before" / "predictions_test.csv").set_index("image_id")["score"]
    own = read_predictions(baseline / "predictions_test.csv").set_index("image_id")["score"]
    np.testing.assert_allclose(before, own[before.index], atol=1e-6)
    assert result.comparison.remarks == ()
    lines: list[str] = []
    again = run(recipe, tmp_path / "records", result.records.folder, start=baseline, say=lines.append)
    assert len(again.comparison.remarks) == 2
    assert "is not measured as it came" in again.comparison.remarks[0]
    assert "trained on pictures of 128x128 pixels and is scored on 160x128" in again.comparison.remarks[1]
    assert set(again.comparison.remarks) <= set(lines)
    assert read_metrics(tmp_path / "records" / "comparison.json").remarks == again.comparison.remarks
    assert "is not measured as it came" in report_run(tmp_path / "records").read_text()


def test_a_training_mean_is_known_behind_any_step(records: Records) -> None:
    """Behind a scaling from the means of the records; behind anything else from the pictures themselves."""
    plain = Preprocessing.preset("legacy", records.size)
    scaled = training_mean(records, plain)
    pictures = [records.picture(int(position)) for position in records.positions("train")]
    assert scaled == pytest.approx(np.mean([picture.mean() for picture in pictures]) * 0.003891, abs=0.006)
    assert training_mean(records, with_auto_levels(plain)) == pytest.approx(
        np.mean([picture.mean() / picture.max() * 255 for picture in pictures]), abs=0.006
    )
    halved = HistogramLookup(tuple(level / 2 for level in range(4096)), 4095)
    matched = Preprocessing(plain.geometry_steps, (halved, *plain.intensity_steps))
    assert training_mean(records, matched) == pytest.approx(scaled / 2, abs=0.02)


def test_patients_that_a_start_model_knows_prove_nothing(baseline: Path, records: Records, tmp_path: Path) -> None:
    """Whoever it was trained on may not stand in validation or test, of it or of what was started from it."""
    rows = records.rows.copy()
    train, test = (rows.index[rows["split"] == split] for split in ("train", "test"))
    swapped = rows["split"].replace({"train": "test", "test": "train"})
    known = replace(records, rows=rows.assign(split=swapped))
    card = load_model(baseline / "model.keras").card
    patients = rows.loc[train, "patient_id"].nunique()
    with pytest.raises(MammoError, match=f"was trained on {patients} of the {patients} patients of test"):
        known_patients(card, known)
    with pytest.raises(MammoError, match="was validated on"):
        known_patients(card, replace(records, rows=rows.assign(split=rows["split"].replace({"validation": "test"}))))
    assert known_patients(card, records) == "nobody"
    assert len(test)
    other = replace(card.patients[0], key="0" * 32)
    assert known_patients(replace(card, patients=(other,)), known) == "unknown"
    assert known_patients(ModelCard(), records) == "unknown"
    with pytest.raises(MammoError, match="was trained on"):
        known_patients(replace(card, patients=(other, *card.patients)), known)
    grown = trained_card(
        ADAPTATION, records, records.preprocessing, ModelFile(load_model(baseline / "model.keras").model)
    )
    assert known_patients(grown, records) == "unknown", "an ancestor that does not tell is not forgotten"


def test_every_measurement_of_test_is_in_the_ledger_of_the_data(baseline: Path, records: Records) -> None:
    listed = entries(records.folder)
    identity = load_model(baseline / "model.keras").card.identity
    (own,) = [one for one in listed if one.model == identity]
    assert (own.recipe, own.run) == ("little", "baseline")
    proof = read_proof(baseline)
    assert proof.measurements is not None
    assert "measured" in (baseline / "report.html").read_text()
    run(BASELINE, baseline, records.folder)
    assert entries(records.folder) == listed, "the same model on the same images is no new measurement"


def test_a_recipe_that_needs_a_start_model_says_how_to_get_one(records: Records, tmp_path: Path) -> None:
    with pytest.raises(MammoError, match="Name one with --start: a run folder of end2end_baseline"):
        run(ADAPTATION, tmp_path / "run", records.folder)
    classifier(tmp_path / "bare.keras", (128, 128, 3), 2)
    with pytest.raises(MammoError, match="does not say how pictures are prepared"):
        run(ADAPTATION, tmp_path / "run", records.folder, start=tmp_path / "bare.keras")


@pytest.mark.long
@pytest.mark.parametrize("variant", ["recipe", "as-run"])
@pytest.mark.parametrize(
    "name",
    ["end2end_baseline", "end2end_finetune_config1", "end2end_finetune_config2"],
)
def test_every_pipeline_runs_as_a_smoke_run(name: str, variant: str, tmp_path: Path) -> None:
    _smoke_run(smoke(load_recipe(PIPELINES / f"{name}.py", variant)), tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", ["whole_image", "end2end_second_source", "ffdm_patches"])
def test_pipelines_of_one_variant_run_as_a_smoke_run(name: str, tmp_path: Path) -> None:
    _smoke_run(smoke(load_recipe(PIPELINES / f"{name}.py")), tmp_path)


def test_a_smoke_run_goes_on_from_the_start_model_that_it_made(tmp_path: Path) -> None:
    recipe = smoke(load_recipe(PIPELINES / "end2end_second_source.py"))
    _, start = smoke_material(recipe, tmp_path, None)
    assert start is not None
    written = start.read_bytes()
    assert smoke_material(recipe, tmp_path, None)[1] == start
    assert start.read_bytes() == written


def _smoke_run(recipe: Recipe, tmp_path: Path) -> None:
    data, start = smoke_material(recipe, tmp_path / "material", None)
    assert finish_run(run(recipe, tmp_path / "run", data, start)).is_file()


@pytest.mark.parametrize(
    ("before", "rows", "terms"),
    [
        ([], {"label": ["normal"]}, ()),
        ([()], {"terms": [""]}, ()),
        ([], {"terms": ["CC BY 4.0", "CC BY 4.0"]}, ("CC BY 4.0",)),
        ([], {"terms": ["CC BY 4.0", ""]}, ("CC BY 4.0", TERMS_NOT_TOLD)),
        ([()], {"terms": ["CC BY 4.0"]}, ("CC BY 4.0", TERMS_NOT_TOLD)),
        ([("CC BY-NC 4.0",)], {"label": ["normal"]}, ("CC BY-NC 4.0", TERMS_NOT_TOLD)),
        ([("CC BY-NC 4.0",)], {"terms": ["CC BY 4.0"]}, ("CC BY 4.0", "CC BY-NC 4.0")),
    ],
)
def test_terms_that_a_part_of_the_data_does_not_tell_are_not_forgotten(
    before: list[tuple[str, ...]], rows: dict[str, list[str]], terms: tuple[str, ...]
) -> None:
    assert terms_of(before, pd.DataFrame(rows)) == terms
