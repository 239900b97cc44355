"""The runner: strings the rooms together, from a recipe and data to a run folder. `train` and `measure` stand alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mammo_tf.claims import LOCK, locked
from mammo_tf.data.feeding import Feeders
from mammo_tf.errors import MammoError
from mammo_tf.files import digest
from mammo_tf.models import rebuild
from mammo_tf.recipes.before import compare_with_start, prove
from mammo_tf.recipes.copies import accepted_copies
from mammo_tf.recipes.feeding import FED
from mammo_tf.recipes.inputs import network_input, open_data, with_mean
from mammo_tf.recipes.matching import digests_of_matching, left_unmatched, other_machines
from mammo_tf.recipes.proof import known_patients
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.results import RunResult, Trained
from mammo_tf.recipes.run_folder import claim
from mammo_tf.recipes.scores import EVALUATED, measured, trained_card
from mammo_tf.recipes.start import check_channels, check_start, load_start
from mammo_tf.recipes.together import agreed, check_records, check_together
from mammo_tf.recipes.trainer import Trainer, cases_of
from mammo_tf.recipes.training_domain import with_domain
from mammo_tf.records import Records, open_records
from mammo_tf.study import SPLITS
from mammo_tf.training import ModelCard, ModelFile, make_strategy, save_model
from mammo_tf.training.cluster import wait_no_more
from mammo_tf.training.model_file import is_whole, read_card

Say = Callable[[str], None]


def run(
    recipe: Recipe,
    folder: str | Path,
    data: str | Path,
    start: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    say: Say = lambda line: None,
    root: str | Path | None = None,
    feeders: Feeders | None = None,
) -> RunResult:
    """Runs a recipe: `train`, then `measure`. Run again in the same folder it continues where it was stopped.

    Leaves `recipe.json environment.json log.csv checkpoints/ model.keras predictions_<split>.csv
    predictions_<split>.json metrics.json proof.json` in the run folder, and with a start model `before/` and
    `comparison.json`; and a line in the ledger of the data folder (`records.ledger`).

    Args:
        recipe: what to do.
        folder: the run folder.
        data: a folder of records, or a manifest.
        start: the model to start from; counts before the recipe's own.
        workers: processes, where a manifest is prepared.
        overwrite: remove the run of another recipe.
        say: is told in a line what happens.
        root: data root of a manifest; by default its folder.
        feeders: who makes the batches (`recipes.feeding.feed`); by default this process does.

    Raises:
        MammoError: see `train`.
    """
    make_strategy()  # of several machines it comes before all else
    folder = Path(folder)
    origin, asked = begun_with(recipe, data, start)
    with claim(folder, recipe, asked, overwrite):
        return measure(_trained(recipe, folder, data, origin, asked, workers, say, root, feeders), recipe, say)


def follow(
    recipe: Recipe,
    folder: str | Path,
    data: str | Path,
    start: str | Path | None = None,
    feeders: Feeders | None = None,
) -> None:
    """Trains along, as another machine than the first, which claims the run folder, logs, keeps, measures and exports.

    Args:
        recipe, data, start, feeders: as for `run`, the same as there.
        folder: the run folder of the first machine; checkpoints are read there after a pause, nothing is written.

    Raises:
        MammoError: `worker_differs`, and what `train` raises.
    """
    make_strategy()
    origin, asked = begun_with(recipe, data, start)
    _trained(recipe, Path(folder), data, origin, asked, 1, lambda line: None, None, feeders)


def train(
    recipe: Recipe,
    folder: str | Path,
    data: str | Path | Records,
    start: str | Path | None = None,
    workers: int = 1,
    overwrite: bool = False,
    say: Say = lambda line: None,
    root: str | Path | None = None,
) -> Trained:
    """Goes through the phases of a recipe; nothing is measured but validation. Arguments as for `run`.

    `data` may be records that are open, as those with other splits than their folder has (`Records.with_rows`).

    Raises:
        MammoError: `start_missing`, `start_unwanted`, `start_unfit`, `start_saw_patients`, `channels_differ`,
            `size_too_small`, `batch_undivided`, `precision_unsafe`, `outputs_wrong` where the network's outputs are
            not the task's, and what the rooms on the way raise.
    """
    make_strategy()
    folder = Path(folder)
    origin, asked = begun_with(recipe, data, start)
    with claim(folder, recipe, asked, overwrite):
        return _trained(recipe, folder, data, origin, asked, workers, say, root)


def measure(trained: Trained, recipe: Recipe, say: Say = lambda line: None) -> RunResult:
    """Measures what `train` left on validation and test, and the start model next to it; writes the model.

    Args:
        trained: the model and its records.
        recipe: says how.
        say: is told in a line what happens.

    Raises:
        MammoError: `folder_busy`, and what the rooms on the way raise.
    """
    folder, records = trained.folder, trained.records
    with locked(folder / LOCK, folder):
        found = measured(trained.model, records, trained.card, recipe, folder)
        if recipe.phases:
            card = with_domain(found.card, trained.model, records, recipe, found.predictions)
            found = replace(found, card=card)
        if not _holds(
            folder / "model.keras", found.card
        ):  # a finished run keeps its file: others know it by its digest
            save_model(folder / "model.keras", trained.model, found.card)
        comparison, remarks = compare_with_start(trained, recipe, found, say)
        prove(trained, recipe, found, (*remarks, *accepted_copies(records, recipe)), say)
    return RunResult(
        folder, found.metrics, comparison, trained.model, found.card, records, found.predictions, recipe.scoring
    )


def begun_with(
    recipe: Recipe, data: str | Path | Records, start: str | Path | None
) -> tuple[ModelFile | None, dict[str, str]]:
    """The start model, and digests of what decides the result next to the recipe; refusals before any work.

    Raises:
        MammoError: `start_missing`, `start_unwanted`, `start_unfit`, `file_missing`; those of `load_start`.
    """
    start = start or recipe.start
    if start is None and recipe.needs_start:
        raise MammoError(
            "start_missing", f"the recipe {recipe.name} needs a model to start from",
            "Name one with --start: a run folder of end2end_baseline, a .keras file, or a published .h5",
        )  # fmt: skip
    if start is not None and recipe.from_nothing:
        raise MammoError(
            "start_unwanted", f"the recipe {recipe.name} begins with a network of its own, not with {start}",
            "Leave out --start, or take a recipe that trains on",
        )  # fmt: skip
    origin = load_start(start) if start is not None else None
    if origin is not None:
        check_start(origin, str(start), recipe.task)
    asked = {
        "data": data.digest if isinstance(data, Records) else digest_of_input(Path(data)),
        "start": "" if origin is None else origin.card.sealed(origin.model).identity,
        **digests_of_matching(recipe),
    }
    return origin, asked


def _trained(
    recipe: Recipe,
    folder: Path,
    data: str | Path | Records,
    origin: ModelFile | None,
    asked: dict[str, str],
    workers: int,
    say: Say,
    root: str | Path | None,
    feeders: Feeders | None = None,
) -> Trained:
    """The training itself, in a folder that is its own."""
    check_together(recipe, data, asked)
    if feeders is not None:
        check_records(data, FED)
    records, geometry = open_data(data, folder, origin, recipe, workers, say, root)
    start_patients = "" if origin is None else known_patients(origin.card, records)
    steps = network_input(recipe, records, origin, geometry)
    if origin is not None:
        check_channels(origin, steps)
    if recipe.phases and recipe.evaluation.plan is not None:
        for split in EVALUATED:  # a plan that the pictures do not allow is refused before anything is trained
            recipe.scoring.scoring_plan(records, cases_of(records, recipe, split))
    for remark in filter(None, (left_unmatched(origin, steps), other_machines(recipe, records))):
        say(remark)
    say(f"{len(records)} images of {records.size[0]}x{records.size[1]} pixels, {_counts(records, recipe)}")
    fed = None if feeders is None else replace(feeders, about=agreed(recipe, asked))
    model = Trainer(recipe, folder, records, steps, say, fed).all_phases(origin)
    wait_no_more()
    finished = rebuild(model, dtype="float32", synchronized=False)  # for serving: no optimiser, one device
    final = steps if recipe.evaluation.mean is None else with_mean(steps, recipe.evaluation.mean)
    card = trained_card(recipe, records, final, origin)
    place = None if root is None else Path(root)
    given = data.folder if isinstance(data, Records) else Path(data)
    return Trained(folder, finished, card, records, origin, start_patients, given, place, workers)


def digest_of_input(path: Path) -> str:
    """What tells records (by what they hold), a run's model or a file from any other: SHA-256.

    Raises:
        MammoError: `file_missing`; those of `open_records`.
    """
    if (path / "index.json").is_file():
        return open_records(path).digest
    if (path / "model.keras").is_file():
        return digest(path / "model.keras")
    if not path.is_file():
        raise MammoError("file_missing", f"{path} is not there or holds no records and no model")
    return digest(path)


def _counts(records: Records, recipe: Recipe) -> str:
    parts = []
    for split in SPLITS:
        labels = cases_of(records, recipe, split).labels
        unlabelled = len(records.positions(split)) - len(labels)
        more = f", {unlabelled} unlabelled" if unlabelled else ""
        parts.append(f"{split} {len(labels)} ({int(labels.sum())} positive{more})")
    return ", ".join(parts)


def _holds(path: Path, card: ModelCard) -> bool:
    """Whether a model file is there, whole, and of the weights that were measured."""
    return path.is_file() and is_whole(path) and read_card(path).weights == card.weights
