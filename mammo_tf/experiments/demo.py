"""The demonstration: a synthetic two-site study, a model of site 1, its loss at site 2, and what adaptation gets back.

The findings are conspicuous (`phantom.CONSPICUOUS`), and rates and epochs are of its own: those of Table 6 do nothing
in so few steps. How they were arrived at, and which numbers were seen on the way, is told in docs/results.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.evaluation import compare, read_metrics, read_predictions
from mammo_tf.evaluation.number_text import DIFFERENCE, number_text
from mammo_tf.experiments.study_recipes import (
    HEAD,
    MIRRORED,
    SPACING_MM,
    Say,
    deeper,
    from_patches,
    prepare_site,
    score_site,
    seeded,
    steady_stage,
)
from mammo_tf.files import disk_errors, read_json, write_json
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.examples import write_examples
from mammo_tf.recipes.recipe import Preparation, Recipe, Training
from mammo_tf.recipes.report import run_examples, run_facts
from mammo_tf.recipes.runner import run
from mammo_tf.records import open_records
from mammo_tf.records.domain_statistics import matching_step, with_matching
from mammo_tf.reporting import Comparison, Curve, Entry, Report, write_report
from mammo_tf.serving import export_bundle
from mammo_tf.serving.predict import predict
from mammo_tf.training import load_model

SOURCE, TARGET = "ffdm_site_1", "ffdm_site_2"


@dataclass(frozen=True)
class DemoSize:
    """How large a demonstration is: patients of each group, and epochs of each stage.

    Attributes:
        source, source_validation: patients of site 1 alone.
        target, target_validation: patients of site 2 alone.
        test: patients seen by both sites, never trained on.
        patch, head, whole: epochs on site 1: patches, the head alone, everything.
        adapt_head, adapt_all: epochs on site 2.
    """

    source: int = 140
    source_validation: int = 40
    target: int = 60
    target_validation: int = 30
    test: int = 80
    patch: int = 8
    head: int = 2
    whole: int = 8
    adapt_head: int = 3
    adapt_all: int = 14


SHORT = DemoSize()
LONG = DemoSize(
    source=300, source_validation=80, target=120, target_validation=60, test=200,
    patch=10, head=3, whole=16, adapt_head=4, adapt_all=28,
)  # fmt: skip


def source_recipe(size: DemoSize) -> Recipe:
    """Patch stage, then the head, then everything, on site 1."""
    about = "VGG16 at an eighth of its width, trained on site 1: patches, then whole images"
    return from_patches("site_1", about, (size.patch, size.head, size.whole))


def adaptation_recipe(size: DemoSize) -> Recipe:
    """Configuration 2 in its two stages, at rates of the demonstration's own."""
    return Recipe(
        name="site_2_adapted",
        about="the model of site 1, fine-tuned on site 2 in two stages (configuration 2, rates of its own)",
        needs_start=True,
        preparation=Preparation(preset="start", mean="training"),
        training=Training(batch_size=16, augmentation=MIRRORED),
        stages=(
            steady_stage("stage_1", HEAD, 1e-3, size.adapt_head, weight_decay=1e-4, dropout=0.1),
            steady_stage("stage_2", ("all",), 5e-4, size.adapt_all, weight_decay=1e-4, dropout=0.1),
        ),
    )


def scratch_recipe(size: DemoSize) -> Recipe:
    """The same network from nothing, whole images of site 2 alone, as many epochs as the adaptation had."""
    recipe = source_recipe(size)
    epochs = size.adapt_head + size.adapt_all
    stage = replace(recipe.stages[-1], name="scratch", epochs=epochs)
    return replace(recipe, name="site_2_scratch", about="from scratch on site 2", patch=None, stages=(stage,))


def demo(folder: str | Path, size: DemoSize = SHORT, workers: int = 2, seed: int = 1, say: Say = print) -> Path:
    """Runs the demonstration and returns the path of its report. Run again it goes on where it stopped.

    Args:
        folder: new, or of a stopped demonstration of the same size and seed.
        size: patients and epochs.
        workers: processes for the study and its preparation.
        seed: of study and training.
        say: is told in a line what happens.

    Raises:
        MammoError: `other_demo`, and what the rooms on the way raise.
    """
    folder = Path(folder)
    _claim(folder, {"size": size.__dict__, "seed": seed})
    say("1/7  a synthetic study of two sites; its findings are conspicuous, it is no clinical data")
    study = _study(folder, size, seed, workers)
    say("2/7  preparing the pictures of both sites")
    data = {site: _prepared(folder, study, site, workers) for site in (SOURCE, TARGET)}
    say("3/7  training on site 1")
    source = run(seeded(source_recipe(size), seed), folder / "site_1", data[SOURCE], say=deeper(say))
    say("4/7  site 2: untouched, histogram matching alone, adapted, from scratch")
    _matching(folder, data, source.folder, deeper(say))
    adapted = run(
        seeded(adaptation_recipe(size), seed), folder / "site_2_adapted", data[TARGET], source.folder, say=deeper(say)
    )
    run(seeded(scratch_recipe(size), seed), folder / "site_2_scratch", data[TARGET], say=deeper(say))
    say("5/7  exporting the adapted model and scoring DICOM files with what was exported")
    bundle = _exported(folder, adapted.folder)
    _scored(folder, bundle, study)
    say("6/7  comparing on test patients that no model has seen")
    comparisons = _compared(folder)
    say("7/7  the report")
    test = adapted.predictions[adapted.predictions["split"] == "test"]
    write_examples(adapted.model, adapted.records, adapted.preprocessing, test, adapted.folder / "figures")
    report = _reported(folder, comparisons)
    for line in _answer(folder):
        say(line)
    return report


def _claim(folder: Path, asked: dict[str, Any]) -> None:
    path = folder / "demo.json"
    if path.is_file():
        if read_json(path) != asked:
            raise MammoError(
                "other_demo", f"{folder} holds a demo of another size", "Remove it or name another with -o"
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise MammoError("folder_exists", f"{folder} is not empty and holds no demo", "Name another folder with -o")
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_json(path, asked)


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


def _matching(folder: Path, data: dict[str, Path], model_folder: Path, say: Say) -> None:
    """The model of site 1 on site 2 with the target's histogram matched to the source's."""
    out = folder / "site_2_matched"
    if (out / "metrics.json").is_file():
        return
    source, target = open_records(data[SOURCE]), open_records(data[TARGET])
    stored = load_model(model_folder / "model.keras")
    if stored.preprocessing is None:
        raise MammoError("preprocessing_missing", f"{model_folder} holds a model without preprocessing")
    steps = with_matching(stored.preprocessing, matching_step(target, source, say=say))
    score_site(replace(stored, preprocessing=steps), data[TARGET], Recipe(name="site_2_matched", about=""), out)


def _exported(folder: Path, model_folder: Path) -> Path:
    root = folder / "saved_models" / "site_2_adapted"
    if root.is_dir():
        return root
    export_bundle(load_model(model_folder / "model.keras"), folder / "saved_models", "site_2_adapted")
    return root


def _scored(folder: Path, bundle: Path, study: pd.DataFrame) -> None:
    first = study[(study["site"] == TARGET) & (study["split"] == "test")]["patient_id"].iloc[0]
    rows = study[(study["site"] == TARGET) & (study["patient_id"] == first)]
    files = [folder / "study" / path for path in rows["path"]]
    predict(bundle, files, folder / "exam.csv", sheet=folder / "exam.png")


TABLES = {
    "site 1, its own model": "site_1",
    "site 2, untouched": "site_2_adapted/before",
    "site 2, histogram matching alone": "site_2_matched",
    "site 2, adapted": "site_2_adapted",
    "site 2, from scratch": "site_2_scratch",
}
PAIRS = (
    ("adapted minus untouched", "site 2, untouched", "site 2, adapted"),
    ("histogram matching alone minus untouched", "site 2, untouched", "site 2, histogram matching alone"),
    ("adapted minus histogram matching alone", "site 2, histogram matching alone", "site 2, adapted"),
    ("adapted minus from scratch", "site 2, from scratch", "site 2, adapted"),
)
NOTES = {
    "site 2, from scratch": "no fair fight at this size: so few patients teach a network nothing from nothing",
}


def _compared(folder: Path) -> list[Comparison]:
    comparisons = []
    for number, (name, first, second) in enumerate(PAIRS):
        path = folder / "comparisons" / f"{number}.json"
        one, other = (read_predictions(folder / TABLES[which] / "predictions_test.csv") for which in (first, second))
        write_json(path, compare(one, other).to_json())
        comparisons.append(Comparison(name, path, note=NOTES.get(first, "")))
    return comparisons


def _reported(folder: Path, comparisons: list[Comparison]) -> Path:
    entries = tuple(
        Entry(name, folder / place / "predictions_test.csv", folder / place / "metrics.json", note=NOTES.get(name, ""))
        for name, place in TABLES.items()
    )
    names = ("site_1", "site_2_adapted", "site_2_scratch")
    curves = tuple(Curve(name.replace("_", " "), folder / name / "log.csv") for name in names)
    report = Report(
        title="A model moves to another site",
        lead="A model of synthetic site 1 (FFDM) is taken to synthetic site 2, another make of machine, and measured "
        "there before and after adaptation, on test patients whom no model has seen.",
        entries=entries, comparisons=tuple(comparisons), curves=curves,
        examples=run_examples(folder / "site_2_adapted"),
        facts={**run_facts(folder / "site_2_adapted"), "data": "synthetic study, conspicuous findings"},
        warnings=("The study is synthetic and its findings are conspicuous: nothing here says how a model does on "
                  "women.",),
        root=folder,
    )  # fmt: skip
    write_report(report, folder / "report.html")
    return folder / "report.html"


def _answer(folder: Path) -> list[str]:
    lines = ["", "AUC of breasts, 95 % interval over patients:"]
    for name, place in TABLES.items():
        number = read_metrics(folder / place / "metrics.json")["test"]["breast"]["auc"]
        lines.append(f"  {name:34s} {number_text(number)}")
    for order, (name, _, _) in enumerate(PAIRS):
        value = read_metrics(folder / "comparisons" / f"{order}.json")["test"]["breast"]["auc_difference"]
        lines.append(f"  {name:42s} {number_text(value, DIFFERENCE)}")
    return [*lines, "", f"Open {folder / 'report.html'}"]
