"""The ladder on two little sites: what it leaves, what it resumes, what it refuses."""

import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from mammo_tf.adaptation.label_budget import with_fewer_labels
from mammo_tf.adaptation.ladder import _seconds, adapt, folds_for, named_rungs
from mammo_tf.adaptation.ladder_export import MODEL
from mammo_tf.adaptation.ladder_scores import every_score, fold
from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.ladder_site import Places, measuring_recipe, open_grounds
from mammo_tf.adaptation.ladder_thresholds import thresholds_of
from mammo_tf.adaptation.rungs import RUNGS
from mammo_tf.adaptation.rungs.batch_statistics import BatchStatistics, normalisations_of, with_statistics_of
from mammo_tf.adaptation.rungs.rung import look_of
from mammo_tf.cli.main import main
from mammo_tf.data import Augmentation
from mammo_tf.data.graph_preprocessing import intensity
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import read_predictions
from mammo_tf.evaluation.levels import at_level
from mammo_tf.files import read_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.imaging.harmonising import OF_A_DOMAIN
from mammo_tf.models import End2End
from mammo_tf.recipes import Evaluation, Phase, Recipe, Training, run
from mammo_tf.recipes.start import load_start
from mammo_tf.records import open_records, prepare
from mammo_tf.records.ledger import entries
from mammo_tf.study import read_manifest, write_manifest
from mammo_tf.training import Stage, load_model
from mammo_tf.training.training_domain import TrainingDomain

sys.path.insert(0, str(Path(__file__).parents[1]))
from conftest import write_films  # noqa: E402 - it lies above this file
from stump import STUMP  # noqa: E402

FLIPS = Augmentation(rotation=0, shift=0, zoom=0)
SETTINGS = LadderSettings(
    training=Training(batch_size=8, augmentation=FLIPS),
    first=Stage("first", ("output",), 1e-3, 1),
    second=Stage("second", ("all",), 1e-4, 1),
    folds=3,
    replicates=60,
)
CLIMBED = ("scores_matched", "recalibrated", "histogram", "harmonised", "batch_statistics", "last_layer", "spottune")


def refusal(call):
    with pytest.raises(MammoError) as caught:
        call()
    return caught.value


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Films of one machine, the same women on another that is darker and sharper, and a model of the first."""
    folder = tmp_path_factory.mktemp("sites")
    records = {}
    for name in ("here", "there"):
        manifest = write_films(folder / name, 32)
        if name == "there":  # test patients were imaged by both
            rows = read_manifest(manifest)
            others = rows["split"] != "test"
            rows.loc[others, "patient_id"] = "other_" + rows.loc[others, "patient_id"]
            write_manifest(rows, manifest)
            for path in sorted((folder / name).glob("*.png")):
                picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) / 65535
                sharp = picture + 0.8 * (picture - cv2.GaussianBlur(picture, (0, 0), 2))
                cv2.imwrite(str(path), np.rint(np.clip(sharp, 0, 1) ** 1.6 * 65535).astype(np.uint16))
        records[name] = folder / f"prepared_{name}"
        prepare(read_manifest(manifest), manifest.parent, records[name], Preprocessing.preset("default", (128, 128)))
    recipe = Recipe(
        name="little", about="", network=End2End(STUMP, width=1 / 8),
        training=Training(batch_size=8, augmentation=FLIPS), evaluation=Evaluation(replicates=50),
        phases=(Phase((Stage("whole", ("all",), 5e-4, 3, stop_patience=0),)),),
    )  # fmt: skip
    run(recipe, folder / "model", records["here"])
    return Places(folder / "model", records["there"], old=records["here"])


@pytest.fixture(scope="module")
def climbed(places, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ladder") / "out"
    said = []
    content = adapt(places, folder, SETTINGS, rungs=CLIMBED, say=said.append)
    return folder, content, said


@pytest.fixture(scope="module")
def site(places, tmp_path_factory):
    return open_grounds(places, tmp_path_factory.mktemp("grounds"), SETTINGS, None, 1, lambda line: None).site


def test_every_rung_is_on_the_ladder_in_order_of_cost(climbed):
    _, content, _ = climbed
    assert [row["name"] for row in content["rungs"]] == ["untouched", *CLIMBED]
    assert RUNGS[0].needs == "nothing"
    trained = [number for number, rung in enumerate(RUNGS) if rung.trains]
    assert trained == list(range(trained[0], len(RUNGS)))
    assert len({rung.name for rung in RUNGS}) == len(RUNGS)


def test_a_rung_that_does_not_apply_says_so(climbed):
    _, content, said = climbed
    row = next(row for row in content["rungs"] if row["name"] == "spottune")
    assert "residual blocks" in row["why_not"]
    assert "test" not in row
    assert any("does not apply" in line for line in said)


def test_numbers_can_be_traced_to_predictions(climbed):
    folder, content, _ = climbed
    for row in content["rungs"]:
        if row["why_not"]:
            continue
        table = read_predictions(folder / row["predictions"])
        cases = at_level(table, content["level"])
        point = row["test"]["at_own"]
        if point is None:  # scores that separate the classes cannot be recalibrated
            assert row["name"] == "recalibrated"
            continue
        called = cases["score"] >= point["threshold"]
        assert point["sensitivity"]["value"] == pytest.approx(called[cases["label"] == 1].mean())
        assert point["specificity"]["value"] == pytest.approx((~called)[cases["label"] == 0].mean())
        wanted = content["intended"]
        distance = max(abs(point[name]["value"] - wanted[name]) for name in ("sensitivity", "specificity"))
        assert point["distance"]["value"] == pytest.approx(distance)


def test_a_threshold_alone_leaves_the_ranks(climbed):
    _, content, _ = climbed
    rows = {row["name"]: row for row in content["rungs"]}
    for name in ("scores_matched", "recalibrated"):
        assert rows[name]["test"]["measure"] == rows["untouched"]["test"]["measure"]
        assert rows[name]["test"]["against_untouched"] is None
        assert rows[name]["predictions"] == rows["untouched"]["predictions"]


def test_what_needs_no_label_has_not_looked_at_one(climbed, places, site, tmp_path):
    """With every training label gone, rungs that ask for none make the same model and the same threshold."""
    folder, _, _ = climbed
    rows = site.records.rows
    blank = site.records.with_rows(rows.assign(label=rows["label"].where(rows["split"] != "train", "")))
    bare = replace(site, records=blank, folder=tmp_path)
    for rung in RUNGS:
        if rung.name in CLIMBED and rung.needs == "unlabelled pictures":
            assert rung.unfit(bare) == ""
            one, other = (
                rung.climb(where, where.rung_folder(rung.name), lambda line: None).model
                for where in (replace(site, folder=folder), bare)
            )
            assert one.preprocessing == other.preprocessing, rung.name
            pairs = zip(one.model.get_weights(), other.model.get_weights(), strict=True)
            assert all(np.allclose(left, right, atol=1e-6) for left, right in pairs), rung.name
    for name in ("last_layer", "new_threshold"):
        assert "both classes" in next(rung for rung in RUNGS if rung.name == name).unfit(bare)
    table = read_predictions(folder / "rungs" / "untouched" / "predictions_train.csv", unlabelled=True)
    again = every_score(site.model, blank, site.recipe, "train")
    assert again["label"].isna().all()
    np.testing.assert_allclose(again["score"], table["score"], atol=1e-5)
    assert thresholds_of("matched", site, table, table) == thresholds_of("matched", site, table, table.assign(label=-1))


def test_scores_are_put_together_as_where_the_threshold_was_chosen(places, tmp_path):
    """A run folder says it in its recipe, a file in its card; neither is taken for granted."""
    model = load_start(places.model)
    stored = read_json(places.model / "recipe.json")
    stored["recipe"]["evaluation"] |= {"breast": "maximum", "patient": "mean", "pool_exams": True}
    stored["recipe"]["evaluation"]["operating_point"] |= {"name": "youden"}
    (tmp_path / "recipe.json").write_text(json.dumps(stored))
    found = measuring_recipe(model, tmp_path, SETTINGS).evaluation
    assert (found.breast, found.patient, found.pool_exams) == ("maximum", "mean", True)
    assert found.operating_point.name == "youden"
    assert found.replicates == SETTINGS.replicates
    scores = replace(model.card.training_domain.validation_scores, aggregates={"breast": "noisy_or"})
    card = replace(model.card, training_domain=replace(model.card.training_domain, validation_scores=scores))
    of_file = measuring_recipe(replace(model, card=card), tmp_path / "model.keras", SETTINGS).evaluation
    assert of_file.breast == "noisy_or"


def test_every_measurement_of_test_is_entered(climbed, places):
    _, content, _ = climbed
    listed = entries(places.site)
    measured = {row["predictions"] for row in content["rungs"] if not row["why_not"]}
    assert len({one.model for one in listed if one.recipe == "ladder"}) >= len(measured)


def test_a_budget_that_cannot_be_had_is_refused_before_any_rung(places, tmp_path):
    said = []
    error = refusal(lambda: adapt(places, tmp_path / "out", SETTINGS, label_budget=[6, 500], say=said.append))
    assert error.code == "too_few_patients"
    assert not any("Untouched" in line for line in said)


def test_too_few_patients_for_folds_are_chosen_for_on_validation(places, tmp_path):
    asked = replace(SETTINGS, folds=40)
    grounds, said = open_grounds(places, tmp_path, asked, None, 1, lambda line: None), []
    assert folds_for(grounds, said.append) is None
    assert "not by cross-validation" in said[0]
    assert folds_for(replace(grounds, site=replace(grounds.site, settings=SETTINGS)), said.append) == 3


def test_the_choice_is_made_where_no_rung_has_learnt(climbed):
    folder, content, _ = climbed
    assert content["choice"]["split"] == "cross-validation"
    assert content["choice"]["folds"] == 3
    pooled = read_predictions(folder / "rungs" / "last_layer" / "cross_validated.csv")
    assert not pooled["image_id"].duplicated().any()
    assert content["choice"]["positives"] == int(at_level(pooled, content["level"])["label"].sum())


def test_folds_part_patients(site):
    seen = []
    whole = site.records.rows
    for number in range(3):
        rows = fold(site, 3, number).rows
        parts = {
            split: set(rows.loc[rows["split"] == split, "patient_id"]) for split in ("train", "validation", "test")
        }
        assert not parts["train"] & parts["validation"]
        assert not (parts["train"] | parts["validation"]) & parts["test"]
        assert not set(rows["patient_id"]) & set(whole.loc[whole["split"] == "test", "patient_id"])
        assert {"malignant", "normal"} == set(rows.loc[rows["split"] == "test", "label"])
        seen += sorted(parts["test"])
    known = whole.loc[whole["split"].isin(["train", "validation"]), "patient_id"]
    assert sorted(seen) == sorted(set(known))


def test_too_many_folds_are_refused(site):
    error = refusal(lambda: fold(site, 40, 0))
    assert error.code == "folds_wrong"
    assert "least_positives" in error.remedy


def test_fewer_labels_are_those_of_a_smaller_number_and_more(site):
    def labelled(patients):
        rows = with_fewer_labels(site, patients, 3).rows
        return set(rows.loc[(rows["split"] == "train") & (rows["label"] != ""), "patient_id"])

    few, more = labelled(6), labelled(10)
    assert few < more
    assert (len(few), len(more)) == (6, 10)
    rows = with_fewer_labels(site, 6, 3).rows
    assert (rows.loc[rows["split"] != "train", "label"] != "").all()
    assert refusal(lambda: with_fewer_labels(site, 500, 0)).code == "too_few_patients"
    assert refusal(lambda: with_fewer_labels(site, 1, 0)).code == "too_few_patients"


def test_batch_statistics_are_the_mean_over_batches(site):
    """Of the first normalisation: mean and variance of what comes in, batch by batch, computed by NumPy."""
    import keras

    found = normalisations_of(with_statistics_of(site))[0]
    model = site.model.model
    first = normalisations_of(model)[0]
    body = next((layer for layer in model.layers if isinstance(layer, keras.Model) and first in layer.layers), model)
    before = keras.Model(body.inputs, first.input)
    records = site.records.part(site.records.positions("train"))
    order = np.random.default_rng(0).permutation(len(records))
    steps = replace(records.preprocessing, intensity_steps=site.model.preprocessing.intensity_steps)
    pictures = np.stack([records.picture(int(place)) for place in order]) / np.float32(65535)
    given = intensity(steps, pictures, None).numpy()
    whole = len(order) // 8 * 8
    values = before.predict(given[:whole], verbose=0)
    batches = values.reshape(whole // 8, -1, values.shape[-1])
    np.testing.assert_allclose(found.moving_mean, batches.mean(axis=1).mean(axis=0), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found.moving_variance, batches.var(axis=1).mean(axis=0), rtol=1e-3, atol=1e-5)


def test_the_old_site_keeps_its_model_where_pictures_alone_are_changed(climbed):
    _, content, _ = climbed
    old = content["old_site"]["rungs"]
    assert old["harmonised"]["same_model"]
    assert old["harmonised"]["retention"] is None
    assert not old["last_layer"]["same_model"]
    assert old["last_layer"]["retention"]["value"] is not None
    assert "at both sites" in content["old_site"]["potential"]["how"]
    assert not set(old) & {"untouched", "scores_matched"}


def test_the_chosen_rung_is_left_ready_to_serve(climbed):
    folder, content, _ = climbed
    left = load_model(folder / MODEL)
    row = next(row for row in content["rungs"] if row["name"] == content["choice"]["rung"])
    point = row["test"]["at_own"]
    assert left.card.threshold(content["level"]) == pytest.approx(point["threshold"])
    changed = any(isinstance(step, OF_A_DOMAIN) for step in left.preprocessing.intensity_steps)
    assert changed == (content["choice"]["rung"] in ("histogram", "harmonised"))


def test_a_ladder_continues_and_takes_further_rungs(climbed, places):
    folder, content, _ = climbed
    files = {path: path.stat().st_mtime_ns for path in (*folder.rglob("predictions_*.csv"), folder / MODEL)}
    again = adapt(places, folder, SETTINGS, rungs=(*CLIMBED, "new_threshold"), say=lambda line: None)
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert "new_threshold" in [row["name"] for row in again["rungs"]]
    same = {row["name"]: row for row in again["rungs"]}
    for row in content["rungs"]:
        assert same[row["name"]].get("test") == row.get("test")
    error = refusal(lambda: adapt(places, folder, replace(SETTINGS, replicates=61), say=lambda line: None))
    assert error.code == "other_ladder"


def test_patients_who_taught_one_site_do_not_judge_the_other(places, tmp_path):
    records = open_records(places.old)
    swapped = {"train": "test", "test": "train", "validation": "validation"}
    manifest = records.rows.assign(split=records.rows["split"].map(swapped))
    path = places.old.parent / "here" / "swapped.csv"
    manifest.to_csv(path, index=False)
    error = refusal(lambda: adapt(replace(places, old=path), tmp_path / "out", SETTINGS, say=lambda line: None))
    assert error.code in ("patients_shared", "start_saw_patients")
    assert not (tmp_path / "out" / "ladder.json").exists()


def test_unknown_rungs_and_budgets_are_refused(places, tmp_path, capsys):
    assert refusal(lambda: named_rungs(["harmonized"])).code == "rung_unknown"
    for budget in ([30, 10], [0, 5]):
        assert refusal(lambda b=budget: adapt(places, tmp_path / "a", SETTINGS, label_budget=b)).code == "budget_wrong"
    assert not (tmp_path / "a").exists()
    assert main(["adapt", str(places.model), str(tmp_path / "nowhere"), "-o", str(tmp_path / "b")]) == 2
    assert "nowhere" in capsys.readouterr().err


def without_domain(model):
    return replace(model, card=replace(model.card, training_domain=TrainingDomain()))


def test_without_the_old_site_the_card_tells_the_look(places, site, tmp_path):
    alone = open_grounds(replace(places, old=None), tmp_path, SETTINGS, None, 1, lambda line: None).site
    assert alone.source is None and {rung.name: rung.unfit(alone) for rung in RUNGS if "harmonised" in rung.name} == {
        rung.name: rung.unfit(site) for rung in RUNGS if "harmonised" in rung.name
    }
    for name in ("histogram", "harmonised"):
        rung = next(one for one in RUNGS if one.name == name)
        assert rung.unfit(alone) == ""
        by_card = look_of(rung.climb(alone, tmp_path, print).model)
        by_pictures = look_of(rung.climb(replace(site, folder=tmp_path / "both"), tmp_path, print).model)
        assert np.abs(by_card[0].outputs - by_pictures[0].outputs).max() < 0.03
        if name == "harmonised":
            np.testing.assert_allclose(by_card[1].gains, by_pictures[1].gains, rtol=0.1)
            np.testing.assert_allclose(by_card[2].added, by_pictures[2].added, atol=0.03)
    bare = replace(alone, reference=None, model=without_domain(alone.model))
    told = {rung.name: rung.unfit(bare) for rung in RUNGS}
    assert all("--old" in told[name] for name in ("histogram", "harmonised", "last_layer_harmonised"))
    assert "known to work" in RUNGS[1].unfit(bare)


def test_a_model_that_harmonises_knows_the_look_that_it_carries_to(site, tmp_path):
    rung = next(one for one in RUNGS if one.name == "harmonised")
    taken = rung.climb(replace(site, folder=tmp_path / "first"), tmp_path, print)
    again = replace(site, model=taken.model, folder=tmp_path / "second", source=site.records)
    assert again.look is taken.model.card  # not pictures of the site, which it sees in another look
    assert look_of(rung.climb(again, tmp_path, print).model)[1].gains != pytest.approx([1.0] * 5, rel=0.2)
    assert taken.at_the_old_site(taken.model).preprocessing == taken.model.preprocessing
    assert look_of(taken.at_the_old_site(site.model)) == ()


@pytest.mark.long
def test_the_command_leaves_a_bundle(places, tmp_path, capsys):
    words = ["--set", "folds=3", "--set", "replicates=60", "--rungs", "histogram"]
    paths = [str(path) for path in (places.model, places.site, "-o", tmp_path / "out", "--old", places.old)]
    assert main(["adapt", *paths, *words]) == 0
    said = capsys.readouterr().out
    content = read_json(tmp_path / "out" / "ladder.json")
    assert content["answer"] in " ".join(said.split())  # lines are wrapped
    assert (tmp_path / "out" / "saved_models" / content["choice"]["rung"] / "1" / "saved_model.pb").is_file()


@pytest.mark.long
def test_labels_are_bought(places, tmp_path):
    content = adapt(
        places, tmp_path / "out", SETTINGS, rungs=("last_layer",), label_budget=[6, 12], say=lambda line: None
    )
    bought = content["label_budget"]
    assert [point["labelled_patients"] for point in bought["points"]] == [6, 12]
    assert all(len(point["draws"]) == 3 for point in bought["points"])
    assert "twice as many labelled patients as 12" in bought["sentence"]


@pytest.mark.parametrize("content", ['{"sekonds": 1.0}', '{"seconds": "long"}', "[1.0]", '{"seconds": null}'])
def test_what_says_no_seconds_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / "rung.json").write_text(content)
    with pytest.raises(MammoError, match="does not say how many seconds its rung took") as caught:
        _seconds(tmp_path, 0.0)
    assert caught.value.code == "json_broken"


def test_a_digit_that_changed_in_kept_scores_is_told(climbed, places, tmp_path):
    """It would still be a table of scores, and give another threshold; removed, the same comes again."""
    folder = tmp_path / "ladder"
    shutil.copytree(climbed[0], folder)
    for name in ("rungs/last_layer/predictions_validation.csv", "rungs/last_layer/cross_validated.csv"):
        path = folder / name
        whole = path.read_text()
        at = whole.rindex(".") + 3
        path.write_text(whole[:at] + str((int(whole[at]) + 5) % 10) + whole[at + 1 :])
        error = refusal(lambda: adapt(places, folder, SETTINGS, rungs=CLIMBED, say=lambda line: None))
        assert error.code == "predictions_damaged" and str(path) in error.sentence
        path.unlink()
        again = adapt(places, folder, SETTINGS, rungs=CLIMBED, say=lambda line: None)
        assert path.read_text() == whole
        assert again["rungs"] == climbed[1]["rungs"]


@pytest.mark.parametrize("code", ["device_lost", "device_full"])
def test_a_lost_device_is_not_a_rung_that_does_not_apply(code, places, tmp_path, monkeypatch):
    """Else another ladder would be climbed, and another rung be chosen, because a card failed; a rung that is too
    large for the card says so, and the others are climbed."""
    monkeypatch.setattr(BatchStatistics, "climb", lambda *_: (_ for _ in ()).throw(MammoError(code, "a card", "look")))
    asked = (places, tmp_path / "out", SETTINGS)
    climb = partial(adapt, *asked, rungs=("batch_statistics",), say=lambda line: None)
    if code == "device_lost":
        assert refusal(climb).code == code
    else:
        assert climb()["rungs"][1]["why_not"] == "a card"


def test_scores_of_the_old_site_that_are_gone_are_made_again(climbed, places, tmp_path):
    folder = tmp_path / "ladder"
    shutil.copytree(climbed[0], folder)
    path = folder / "rungs" / "untouched" / "old" / "predictions_test.csv"
    whole = path.read_text()
    path.unlink()
    adapt(places, folder, SETTINGS, rungs=CLIMBED, say=lambda line: None)
    assert path.read_text() == whole
