"""The demonstration: a synthetic two-site study, a model of site 1, its loss at site 2, and what wins it back: pictures
harmonised without a label, then labels.

The findings are conspicuous (`phantom.CONSPICUOUS`), and rates and epochs are of its own: those of Table 6 do nothing
in so few steps. docs/diary/results.md tells how they were arrived at, and which numbers were seen on the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.ladder_choice import choose
from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import compare, read_metrics, read_predictions
from mammo_tf.evaluation.number_text import DIFFERENCE, number_text
from mammo_tf.evaluation.numbers import Number
from mammo_tf.experiments.demo_recipes import (
    ADAPTED,
    HARMONISED,
    SHORT,
    DemoSize,
    adaptation_recipe,
    harmonised_recipe,
    source_recipe,
)
from mammo_tf.experiments.steps import Steps
from mammo_tf.experiments.study_recipes import SPACING_MM, Say, deeper, prepare_site, score_site, seeded
from mammo_tf.files import write_json
from mammo_tf.imaging.harmonising import with_harmonising
from mammo_tf.imaging.steps import IntensityStep
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.report import run_examples, run_facts, write_examples
from mammo_tf.recipes.runner import RunResult, run
from mammo_tf.records import open_records
from mammo_tf.records.domain_statistics import matching_step
from mammo_tf.reporting.comparisons import Comparison
from mammo_tf.reporting.report import Curve, Entry, Report, write_report
from mammo_tf.serving import export_bundle
from mammo_tf.serving.gap_inputs import validation_pictures
from mammo_tf.serving.predict import predict
from mammo_tf.serving.release import page_alone
from mammo_tf.training import load_model

SOURCE, TARGET = "ffdm_site_1", "ffdm_site_2"
DEMO = Kind("demo.json", "demo", "a demo of another size", "other_demo", "Remove it or name another with -o")


def demo(folder: str | Path, size: DemoSize = SHORT, workers: int = 2, seed: int = 1, say: Say = print) -> Path:
    """Runs the demonstration and returns the path of its report. Run again it continues where it stopped.

    Args:
        folder: new, or of a stopped demonstration of the same size and seed.
        size: patients and epochs.
        workers: processes for the study and its preparation.
        seed: of study and training.
        say: is told in a line what happens.

    Raises:
        MammoError: `other_demo`, `folder_busy`, and what the rooms on the way raise.
    """
    folder = Path(folder)
    with claim(folder, DEMO, {"size": vars(size), "seed": seed}):
        return _steps(folder, size, workers, seed, say)


def _steps(folder: Path, size: DemoSize, workers: int, seed: int, say: Say) -> Path:
    steps, below = Steps(folder, say, total=7), deeper(say)
    study = steps.resumed(
        "a synthetic study of two sites; its findings are conspicuous, it is not clinical data",
        lambda: _study(folder, size, seed, workers),
    )
    data = steps.resumed(
        "preparing the pictures of both sites",
        lambda: {site: _prepared(folder, study, site, workers) for site in (SOURCE, TARGET)},
    )
    source = steps.resumed(
        "training on site 1",
        lambda: run(seeded(source_recipe(size), seed), folder / "site_1", data[SOURCE], say=below),
    )
    adapted = steps.resumed(
        "site 2: untouched, histogram matching alone, harmonised without a label, adapted with labels",
        lambda: _at_site_2(folder, size, seed, data, source.folder, below),
    )
    steps.resumed(
        "choosing on validation of site 2, exporting what was chosen, scoring DICOM files with it",
        lambda: _scored(folder, _exported(folder, _chosen(folder, below), data[TARGET]), study),
    )
    comparisons = steps.resumed(
        "comparing on test patients that no model has seen",
        lambda: _compared(folder),
    )
    report = steps.resumed("the report", lambda: _reported(folder, comparisons, adapted))
    for line in _answer(folder):
        say(line)
    return report


def _at_site_2(folder: Path, size: DemoSize, seed: int, data: dict[str, Path], source: Path, say: Say) -> RunResult:
    """The model of site 1 at site 2, in every way; gives the adapted one."""
    quiet = Steps(folder, lambda _: None)
    matched = folder / "site_2_matched"
    quiet.once(
        "histogram matching", (matched / "metrics.json").is_file(), lambda: _matching(matched, data, source, say)
    )
    found = (folder / "harmonising.json").resolve()  # the same, whatever folder it is called from
    quiet.once("harmonising", found.is_file(), lambda: _harmonising(found, data, say))
    run(harmonised_recipe(found), folder / HARMONISED, data[TARGET], source, say=say)
    return run(seeded(adaptation_recipe(size, found), seed), folder / ADAPTED, data[TARGET], source, say=say)


def _study(folder: Path, size: DemoSize, seed: int, workers: int) -> pd.DataFrame:
    groups = (
        PatientGroup("source", size.source, (SOURCE,), "train"),
        PatientGroup("source_validation", size.source_validation, (SOURCE,), "validation"),
        PatientGroup("target", size.target, (TARGET,), "train"),
        PatientGroup("target_validation", size.target_validation, (TARGET,), "validation"),
        PatientGroup("test", size.test, (SOURCE, TARGET), "test"),
    )
    return make_study(
        folder / "study",
        groups,
        (SOURCE, TARGET),
        seed,
        spacing_mm=SPACING_MM,
        conspicuity=CONSPICUOUS,
        workers=workers,
    )


def _prepared(folder: Path, study: pd.DataFrame, site: str, workers: int) -> Path:
    return prepare_site(study[study["site"] == site], folder / "study", folder / "prepared" / site, workers)


def _matching(out: Path, data: dict[str, Path], model_folder: Path, say: Say) -> None:
    """The model of site 1 on site 2 with the target's histogram matched to the source's."""
    source, target = open_records(data[SOURCE]), open_records(data[TARGET])
    _behind(out, data, model_folder, (matching_step(target, source, say=say),))


def _harmonising(file: Path, data: dict[str, Path], say: Say) -> None:
    """What carries pictures of site 2 to the look of site 1, fitted on unlabelled pictures of both."""
    found = fit(open_records(data[SOURCE]), open_records(data[TARGET]))
    for note in notes(found):
        say(f"harmonising: {note.sentence}")
    found.save(file)


def _behind(out: Path, data: dict[str, Path], model_folder: Path, ahead: Sequence[IntensityStep]) -> None:
    """Scores of site 2 with steps in front of the model's own."""
    stored = load_model(model_folder / "model.keras")
    if stored.preprocessing is None:
        raise MammoError("preprocessing_missing", f"{model_folder} holds a model without preprocessing")
    steps = with_harmonising(stored.preprocessing, ahead)
    changed = replace(stored, card=replace(stored.card, preprocessing=steps))
    score_site(changed, data[TARGET], Recipe(name=out.name, about=""), out)


def _chosen(folder: Path, say: Say) -> str:
    """The harmonised model, unless the adapted one is shown to be better on validation of site 2."""
    tables = {name: read_predictions(folder / name / "predictions_validation.csv") for name in (HARMONISED, ADAPTED)}
    measures = {name: read_metrics(folder / name / "metrics.json")["validation"]["breast"]["auc"] for name in tables}
    found = choose(
        measures,
        lambda one, other: compare(tables[one], tables[other], levels=("breast",))["validation"]["breast"][
            "auc_difference"
        ],
    )
    assert found is not None  # both were measured
    say(f"chosen is {found.rung.replace('_', ' ')}: {found.reason}")
    return found.rung


def _exported(folder: Path, name: str, data: Path) -> Path:
    root = folder / "saved_models" / name

    def export() -> None:
        model_file = load_model(folder / name / "model.keras")
        export_bundle(
            model_file, folder / "saved_models", name, validation=validation_pictures(data),
            parts=page_alone(folder / name),
        )  # fmt: skip

    Steps(folder, lambda _: None).once("export", (root / "1").is_dir(), export)
    return root


def _scored(folder: Path, bundle: Path, study: pd.DataFrame) -> None:
    first = study[(study["site"] == TARGET) & (study["split"] == "test")]["patient_id"].iloc[0]
    rows = study[(study["site"] == TARGET) & (study["patient_id"] == first)]
    files = [folder / "study" / path for path in rows["path"]]
    predict(bundle, files, folder / "exam.csv", sheet=folder / "exam.png")


TABLES = {
    "site 1, its own model": "site_1",
    "site 2, untouched": f"{ADAPTED}/before",
    "site 2, histogram matching alone": "site_2_matched",
    "site 2, harmonised without a label": HARMONISED,
    "site 2, adapted with labels": ADAPTED,
}
OF_VERDICT = ("site 1, its own model", "site 2, untouched", "site 2, harmonised without a label")
PAIRS = (
    ("harmonised without a label minus untouched", "site 2, untouched", "site 2, harmonised without a label"),
    ("adapted with labels minus untouched", "site 2, untouched", "site 2, adapted with labels"),
    (
        "adapted with labels minus harmonised without a label", "site 2, harmonised without a label",
        "site 2, adapted with labels",
    ),
    ("histogram matching alone minus untouched", "site 2, untouched", "site 2, histogram matching alone"),
)  # fmt: skip


def _compared(folder: Path) -> list[Comparison]:
    comparisons = []
    for number, (name, first, second) in enumerate(PAIRS):
        path = folder / "comparisons" / f"{number}.json"
        one, other = (read_predictions(folder / TABLES[which] / "predictions_test.csv") for which in (first, second))
        write_json(path, compare(one, other).to_json())
        comparisons.append(Comparison(name, path))
    return comparisons


def _reported(folder: Path, comparisons: list[Comparison], adapted: RunResult) -> Path:
    test = adapted.predictions[adapted.predictions["split"] == "test"]
    figures = adapted.folder / "figures"
    write_examples(adapted.model, adapted.records, adapted.card, test, figures, adapted.scoring)
    entries = tuple(
        Entry(name, folder / place / "predictions_test.csv", folder / place / "metrics.json")
        for name, place in TABLES.items()
    )
    names = ("site_1", ADAPTED)
    curves = tuple(Curve(name.replace("_", " "), folder / name / "log.csv") for name in names)
    report = Report(
        title="A model moves to another site",
        lead=f"{_verdict(folder)} It was taken from synthetic site 1 (FFDM) to synthetic site 2, another make of "
        "machine, and measured there untouched, with pictures harmonised without a label, and adapted with labels, on "
        "test patients whom no model has seen.",
        entries=entries, comparisons=tuple(comparisons), curves=curves,
        examples=run_examples(folder / ADAPTED),
        facts={**run_facts(folder / ADAPTED), "data": "synthetic study, conspicuous findings"},
        warnings=("The study is synthetic and its findings are conspicuous: nothing here says how a model does on "
                  "women.",),
        root=folder,
    )  # fmt: skip
    write_report(report, folder / "report.html")
    return folder / "report.html"


def _verdict(folder: Path) -> str:
    home, untouched, harmonised = (
        read_metrics(folder / TABLES[name] / "metrics.json")["test"]["breast"]["auc"] for name in OF_VERDICT
    )
    gain = read_metrics(folder / "comparisons" / "0.json")["test"]["breast"]["auc_difference"]
    return verdict(home, untouched, harmonised, gain)


def verdict(home: Number, untouched: Number, harmonised: Number, gain: Number) -> str:
    """What came of it, in a sentence.

    Args:
        home, untouched, harmonised: AUC of breasts at site 1, and at site 2.
        gain: paired difference of the last two.
    """
    low, high = gain.get("low"), gain.get("high")
    if low is not None and low > 0:
        claim = "Without a single label the model is shown to do better at the new site"
    elif high is not None and high < 0:
        claim = "Harmonising is shown to make the model worse at the new site"
    else:
        claim = "Harmonising is not shown to help the model at the new site"
    return (
        f"{claim}: its AUC of breasts is {number_text(harmonised)} on harmonised pictures, {number_text(untouched)} "
        f"untouched, and {number_text(home)} at home."
    )


def _answer(folder: Path) -> list[str]:
    lines = ["", "AUC of breasts, 95 % interval over patients:"]
    for name, place in TABLES.items():
        number = read_metrics(folder / place / "metrics.json")["test"]["breast"]["auc"]
        lines.append(f"  {name:36s} {number_text(number)}")
    for order, (name, _, _) in enumerate(PAIRS):
        value = read_metrics(folder / "comparisons" / f"{order}.json")["test"]["breast"]["auc_difference"]
        lines.append(f"  {name:54s} {number_text(value, DIFFERENCE)}")
    return [*lines, "", f"Open {folder / 'report.html'}"]
