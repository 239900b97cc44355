"""The start model next to the one that came of it, and what the run's proof rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mammo_tf.evaluation import Metrics, compare
from mammo_tf.files import write_json
from mammo_tf.recipes.inputs import records_of_start
from mammo_tf.recipes.proof import Counted, Proof, count_measurement, differences_of_input, write_proof
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.results import Trained
from mammo_tf.recipes.run_folder import PREPARED
from mammo_tf.recipes.scores import EVALUATED, Measured, measured_as_it_came
from mammo_tf.recipes.start import SAY_MEAN

Say = Callable[[str], None]


def compare_with_start(trained: Trained, recipe: Recipe, after: Measured, say: Say) -> tuple[Metrics, tuple[str, ...]]:
    """The start model on the same images, as it came, the paired difference, and what is to be known of it."""
    origin = trained.origin
    if origin is None or not recipe.phases:
        return Metrics(), ()
    if origin.preprocessing is None:
        remark = "the start model does not say what was subtracted from its pictures, so it is not compared"
        say(f"{remark}. {SAY_MEAN}")
        return Metrics(), (remark,)
    folder = trained.folder / "before"
    records, remarks = trained.records, differences_of_input(origin, trained.records)
    if remarks and trained.data.is_file() and origin.preprocessing.size is not None:
        say("the start model is scored on pictures prepared as it has it")
        records = records_of_start(trained.data, trained.root, folder / PREPARED, origin, EVALUATED, trained.workers)
        remarks = ()
    for remark in remarks:
        say(remark)
    own_task = replace(origin, card=replace(origin.card, task=recipe.task))
    before = measured_as_it_came(own_task, records, recipe, folder)
    scored = [set(found.predictions["image_id"]) for found in (before, after)]
    both = scored[0] & scored[1]
    parts = [found.predictions[found.predictions["image_id"].isin(both)] for found in (before, after)]
    alone = len(scored[0] ^ scored[1])
    if alone:
        remarks += (
            f"{alone} images could be prepared for one of both models alone and are left out of the comparison",
        )
        say(remarks[-1])
    evaluation = recipe.evaluation
    comparison = compare(
        parts[0],
        parts[1],
        aggregates=evaluation.aggregates,
        resampling=evaluation.resampling,
        pool_exams=evaluation.pool_exams,
    )
    comparison = replace(comparison, remarks=remarks)
    write_json(trained.folder / "comparison.json", comparison.to_json())
    _count(trained, before, recipe, folder)
    return comparison, remarks


def prove(trained: Trained, recipe: Recipe, after: Measured, remarks: tuple[str, ...], say: Say) -> None:
    """Enters the measurement into the ledger of the data, and writes what the proof rests on."""
    measurements, models, why = _count(trained, after, recipe, trained.folder)
    for line in why:
        say(line)
    write_proof(trained.folder, Proof(trained.start_patients, (*remarks, *why), measurements, models))


def _count(trained: Trained, found: Measured, recipe: Recipe, folder: Path) -> Counted:
    test = found.predictions[found.predictions["split"] == "test"]
    return count_measurement(trained.data_folder, found.card, recipe.name, folder, test)
