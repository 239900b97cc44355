"""Tables 1 to 3 and Figures 5, 6, 8 and 9 as one experiment: what `mammo-tf tables mln-net` does.

Every row is trained on one machine of the synthetic study and measured on the others: on mammograms of site 1, then on
slices of tomosynthesis, mammograms of site 2 and film; and the other way round. Two rows are measured once more behind
harmonising. Every training, and every row on every machine, is a folder, and what is finished is not computed again.
docs/tables.md says how to run it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import keras
import pandas as pd

from mammo_tf.adaptation.domains import FEWEST
from mammo_tf.claims import Kind, claim
from mammo_tf.errors import MammoError
from mammo_tf.experiments.mln_net.harmonised import (
    PAIRED,
    harmonised,
    look_file,
    paired_numbers,
    training_patients,
    unlabelled_study,
    with_untouched,
    write_harmonising,
)
from mammo_tf.experiments.mln_net.rows import EVERY_ROW, ROWS, Row
from mammo_tf.experiments.mln_net.sizes import MACHINES, SOURCES, TARGETS, MlnSize
from mammo_tf.experiments.mln_net.study import machine_rows, synthetic_study
from mammo_tf.experiments.mln_net.tables import NUMBERS, row_numbers, write_tables
from mammo_tf.experiments.steps import Steps, records_whole, run_ended
from mammo_tf.experiments.study_recipes import Say, deeper, seeded
from mammo_tf.fields import to_json
from mammo_tf.files import digest, write_json
from mammo_tf.imaging import Preprocessing
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.recipes.runner import run
from mammo_tf.recipes.scores import measured_as_it_came
from mammo_tf.recipes.start import load_start
from mammo_tf.records import open_records, prepare
from mammo_tf.study import read_manifest

TABLE = Kind(
    "request.json", "tables", "tables of another size or of other data", "other_tables",
    "Name another folder with -o, or remove this one",
)  # fmt: skip


UNLABELLED = "unlabelled"  # folder of the women whose pictures are fitted on and nothing else


@dataclass(frozen=True)
class Given:
    """A manifest of several machines (column `site`), split, and its data root."""

    manifest: Path
    root: Path


def mln_net(
    folder: str | Path,
    size: MlnSize,
    seeds: Sequence[int] = (1,),
    given: Given | None = None,
    workers: int = 2,
    say: Say = print,
    sources: Sequence[str] = SOURCES,
    rows: Sequence[Row] = ROWS,
) -> Path:
    """Runs the experiment for every seed; writes `tables.json`, `figures/`, and `tables.md`, whose path it returns.

    Run again it continues where it stopped; further seeds, rows and sources may be named then.

    Args:
        folder: new, or of the same experiment.
        size: patients, epochs, tiles.
        seeds: each a study and trainings of its own; with `given`, trainings alone.
        given: a manifest instead of the synthetic study.
        workers: processes for study and preparation.
        say: is told in a line what happens.
        sources: machines that are trained on.
        rows: which are computed, of `rows.EVERY_ROW`; a training that one takes over is done where it is not, and
            one on harmonised pictures brings the row without.

    Raises:
        MammoError: `seeds_wrong`, `source_unknown`, `nothing_usable`, `other_tables`, `folder_exists`,
            `folder_busy`, and what the rooms raise.
    """
    folder = Path(folder)
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise MammoError("seeds_wrong", f"seeds {list(seeds)} are not different whole numbers from 0 on", "Fix --seed")
    unknown = [source for source in sources if source not in SOURCES]
    if unknown:
        raise MammoError(
            "source_unknown", f"nothing is trained on {unknown[0]!r}", f"Name some of {', '.join(SOURCES)}"
        )
    asked = {"size": to_json(size), "given": {} if given is None else {"manifest": digest(given.manifest)}}
    with claim(folder, TABLE, asked):
        for seed in seeds:
            say(f"seed {seed}")
            for source in sources:
                _one_source(folder / f"seed_{seed}", size, seed, source, rows, given, workers, deeper(say))
        return write_tables(folder, seeds, size, given is None)


def _one_source(
    place: Path, size: MlnSize, seed: int, source: str, rows: Sequence[Row], given: Given | None, workers: int, say: Say
) -> None:
    """Everything that is trained on one machine."""
    steps = Steps(place, say)
    prepared = {machine: place / "prepared" / machine for machine in (source, *TARGETS[source])}

    def study() -> None:
        if given is None:
            manifest, root = synthetic_study(place / "study", size, seed, workers), place / "study"
        else:
            manifest, root = read_manifest(given.manifest), given.root
        _prepared(manifest, root, prepared, size, workers)

    steps.once("the study, on every machine", records_whole(prepared[TARGETS[source][-1]]), study)
    rows = with_untouched(rows)
    looks: dict[str, Path] = {}
    if any(row.harmonised for row in rows):
        unlabelled = prepared if given is not None else _unlabelled(steps, place / UNLABELLED, size, seed, workers)
        looks = _looks(steps, place, source, prepared[source], unlabelled)
    for row in rows:
        base = next(one for one in EVERY_ROW if one.key == row.trained) if row.trained else row
        trained = place / source / base.key
        training = partial(_trained, base.recipe(size), trained, prepared[source], seed, say)
        steps.once(f"{base.title}: trained on {source}", run_ended(trained), training)
        for machine, records in prepared.items():
            if row.harmonised and machine not in looks:
                continue
            out = place / source / row.key / f"on_{machine}"
            scored = partial(_scored, trained / "model.keras", records, row.recipe(size), out)
            if row.harmonised:
                scored = partial(scored, look=looks[machine])
            steps.once(f"{row.title}: {source} to {machine}", (out / "metrics.json").is_file(), scored)
            if not (out / NUMBERS).is_file():
                write_json(out / NUMBERS, row_numbers(out))
            if row.harmonised and not (out / PAIRED).is_file():
                before = place / source / base.key / f"on_{machine}"
                write_json(out / PAIRED, paired_numbers(before, out, row.recipe(size).evaluation))


def _prepared(manifest: pd.DataFrame, root: Path, targets: Mapping[str, Path], size: MlnSize, workers: int) -> None:
    """Records of every machine."""
    for machine, target in targets.items():
        how = Preprocessing.preset("default", (size.rows, size.columns), channels=1, mean=0.0)
        prepare(machine_rows(manifest, root, machine, size), root, target, how, workers)


def _unlabelled(steps: Steps, place: Path, size: MlnSize, seed: int, workers: int) -> dict[str, Path]:
    """Machine -> records of unlabelled women, all of split train."""
    prepared = {machine: place / "prepared" / machine for machine in MACHINES}

    def study() -> None:
        _prepared(unlabelled_study(place / "study", size, seed, workers), place / "study", prepared, size, workers)

    steps.once("women without a label, on every machine", records_whole(prepared[MACHINES[-1]]), study)
    return prepared


def _looks(steps: Steps, place: Path, source: str, trained_on: Path, unlabelled: Mapping[str, Path]) -> dict[str, Path]:
    """Machine -> file of its harmonising; machines with too few patients of training are left out, with a word."""
    found = {}
    for machine, records in unlabelled.items():
        path = look_file(place, source, machine)
        if not path.is_file() and (count := min(map(training_patients, (trained_on, records)))) < FEWEST:
            steps.say(f"{machine} is not harmonised to {source}: {count} patients of training, {FEWEST} are the fewest")
            continue
        fitted = partial(write_harmonising, trained_on, records, path, deeper(steps.say))
        steps.once(f"harmonising: {machine} to {source}", path.is_file(), fitted)
        found[machine] = path
    return found


def _trained(recipe: Recipe, out: Path, data: Path, seed: int, say: Say) -> None:
    keras.utils.clear_session()
    run(seeded(recipe, seed), out, data, say=deeper(say))


def _scored(model: Path, data: Path, recipe: Recipe, out: Path, look: Path | None = None) -> None:
    keras.utils.clear_session()
    records = open_records(data)
    measured_as_it_came(
        load_start(model), records if look is None else harmonised(records, look), recipe, out, ("test",)
    )
