"""Two files of predictions to a verdict on the shift between them, as lines, `shift.json` and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from mammo_tf.adaptation.shift import LEAST_OF_CLASS, REPLICATES, verdict
from mammo_tf.adaptation.shift_report import Told, machines_of_table, reported
from mammo_tf.adaptation.shift_verdict import SHIFT_ALPHA, Evidence, Verdict
from mammo_tf.errors import MammoError
from mammo_tf.evaluation.case_mix import case_mix_differences
from mammo_tf.evaluation.copies import copied_rows
from mammo_tf.evaluation.identities import patient_notes, shared_names
from mammo_tf.evaluation.levels import DEFAULT_AGGREGATES, Level, at_level, level_named, measured_levels
from mammo_tf.evaluation.matched_predictions import BEFORE
from mammo_tf.evaluation.predictions import read_predictions
from mammo_tf.files import digest
from mammo_tf.study.manifest import UNLABELLED

MODELS = (".keras", ".h5", ".hdf5", ".onnx")
MACHINE = ("manufacturer", "model_name", "software")
NAMED = 3  # machines in a note
UNEVEN = 1.05  # times as many images of a patient at one place
FINEST = ("patch", "frame", "image")


def shift_of_files(
    theirs: str | Path,
    ours: str | Path,
    folder: str | Path | None = None,
    columns: Mapping[str, str] | None = None,
    our_columns: Mapping[str, str] | None = None,
    level: str | None = None,
    prevalence: float | None = None,
    threshold: float | None = None,
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    replicates: int = REPLICATES,
    seed: int = 0,
    pool_exams: bool = False,
    by: Sequence[str] = (),
) -> list[str]:
    """Says which shift the scores of OURS have against those of THEIRS.

    Args:
        theirs, ours: predictions of the reference and of the site; labels may be missing, those of the site are asked
            for its prevalence alone.
        folder: where `shift.json` and `shift.svg` and `.png` go; None writes nothing.
        columns, our_columns: what the columns of THEIRS and of OURS are called.
        level, prevalence, threshold, aggregates, replicates, seed, pool_exams: as for `shift_of_predictions`.
        by: columns that tell machines of OURS apart, each of which gets a verdict of its own; the level of its tests
            is the usual one by the number of machines.

    Returns:
        Lines for a reader: the verdict, what follows, the numbers, notes.

    Raises:
        MammoError: as `read_predictions` and `shift_of_predictions`; `samples_same` where both are one file,
            `not_a_file` for a model or a folder. Nothing is written then.
    """
    _check_files(theirs, ours)
    reference, site = read_predictions(theirs, columns, unlabelled=True), read_predictions(ours, our_columns, True)
    names = (Path(theirs).name, Path(ours).name)
    names = names if names[0] != names[1] else (str(theirs), str(ours))
    machines = machines_of_table(site, by, names[1])

    def told(rows: pd.DataFrame, alpha: float, machine: str = "") -> Told:
        called = (names[0], f"{machine} of {names[1]}") if machine else names
        return Told(
            *shift_of_predictions(
                reference, rows, level, prevalence, threshold, aggregates, replicates, seed, pool_exams, called,
                alpha=alpha,
            ), machine,
        )  # fmt: skip

    whole = told(site, SHIFT_ALPHA)
    whole.notes.extend(machines.notes)
    each = SHIFT_ALPHA / max(1, len(machines.rows))
    return reported(whole, [told(site[rows], each, machine) for machine, rows in machines.rows.items()], folder)


def shift_of_predictions(
    reference: pd.DataFrame,
    site: pd.DataFrame,
    level: str | None = None,
    prevalence: float | None = None,
    threshold: float | None = None,
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    replicates: int = REPLICATES,
    seed: int = 0,
    pool_exams: bool = False,
    names: tuple[str, str] = ("the reference", "the site"),
    evidence: Sequence[Evidence] = (),
    alpha: float = SHIFT_ALPHA,
) -> tuple[Verdict, list[str]]:
    """As `adaptation.shift.verdict`, of predictions, with what a reader must know of them, one line each.

    Rows of the split `train` are left out; so are rows without a label of a reference that has labels of both classes.

    Args:
        reference, site: as `read_predictions` gives them, labels being `UNLABELLED` where there is none.
        level: whose scores are compared; None takes the coarsest that both tell, patients if they can be told.
        prevalence, threshold, replicates, seed, names, evidence, alpha: as for `verdict`.
        aggregates, pool_exams: as for `evaluation.levels.measured_levels` and `at_level`.

    Raises:
        MammoError: as `verdict`; `matched_already`, `level_missing`.
    """
    if BEFORE in site:
        remedy = "Give its scores as the model said them"
        raise MammoError("matched_already", f"{names[1]} has a column {BEFORE}: its scores were matched", remedy)
    notes: list[str] = []
    tables = [_without_training(table, name, notes) for table, name in zip((reference, site), names, strict=True)]
    notes += [*_pair_notes(tables, names), *_machine_notes(tables, names)]
    found, chosen = _verdict(
        tables, level, prevalence, threshold, aggregates, replicates, seed, pool_exams, names, notes, evidence, alpha
    )
    return found, [*notes, f"compared are scores of {chosen.plural}"]


def _verdict(
    tables: list[pd.DataFrame],
    level: str | None,
    prevalence: float | None,
    threshold: float | None,
    aggregates: Mapping[str, str],
    replicates: int,
    seed: int,
    pool_exams: bool,
    names: tuple[str, str],
    notes: list[str],
    evidence: Sequence[Evidence] = (),
    alpha: float = SHIFT_ALPHA,
) -> tuple[Verdict, Level]:
    """The verdict on two tables without rows of training, and its level; what is left out is added to `notes`."""
    differences = case_mix_differences(*tables)
    told, labelled = _labelled(tables[0], names[0], notes)
    tables = [told, tables[1]]
    chosen = _level(tables, level, names, pool_exams)
    both = [_cases(table, chosen, aggregates, name) for table, name in zip(tables, names, strict=True)]
    notes += _views_notes(tables, chosen, names)
    found = verdict(
        both[0]["score"], both[1]["score"], both[0]["label"] if labelled else None,
        both[0]["patient_id"], both[1]["patient_id"],
        prevalence=prevalence, differences=differences, threshold=threshold, replicates=replicates, seed=seed,
        names=names, evidence=evidence, alpha=alpha,
    )  # fmt: skip
    if labelled and found.p_mixture is None:
        notes.append(
            f"{names[0]} has fewer than {LEAST_OF_CLASS} positive or fewer than {LEAST_OF_CLASS} negative patients: "
            "its labels tell nothing of another prevalence"
        )
    return found, chosen


def matching_warning(
    reference: pd.DataFrame,
    site: pd.DataFrame,
    names: tuple[str, str],
    threshold: float | None = None,
    aggregates: Mapping[str, str] = DEFAULT_AGGREGATES,
    pool_exams: bool = False,
) -> str:
    """A line for who is about to match scores; empty where it cannot be told which shift it is.

    Args:
        reference, site, names, threshold, aggregates, pool_exams: as for `shift_of_predictions`.
    """
    notes: list[str] = []  # of patients and machines the matching tells its own
    tables = [_without_training(table, name, notes) for table, name in zip((reference, site), names, strict=True)]
    try:
        found, _ = _verdict(tables, None, None, threshold, aggregates, REPLICATES, 0, pool_exams, names, notes)
    except MammoError:
        return ""  # what is wrong is told by matching itself
    return "" if found.p_mixture is None else f"{found.sentence}; {found.follows[0]}"


def _check_files(theirs: str | Path, ours: str | Path) -> None:
    """Refuses what is no file of predictions, and one file for both."""
    for path in map(Path, (theirs, ours)):
        if path.is_dir() or path.suffix.lower() in MODELS:
            sentence = f"{path} is a model or a folder, and shift compares files of scores"
            raise MammoError(
                "not_a_file",
                sentence,
                "Score pictures of both sites with predict, and give the two files; or name the model first",
            )
    if all(Path(path).is_file() for path in (theirs, ours)) and digest(theirs) == digest(ours):
        sentence = f"{theirs} and {ours} are the same file"
        raise MammoError("samples_same", sentence, "Give scores of the reference, and of the site")


def _without_training(table: pd.DataFrame, name: str, notes: list[str]) -> pd.DataFrame:
    rows = (table["split"] != "train").to_numpy()
    if rows.all() or not rows.any():
        return table
    notes.append(f"{name}: {int((~rows).sum())} rows of the split 'train' are left out")
    return table[rows]


def _labelled(table: pd.DataFrame, name: str, notes: list[str]) -> tuple[pd.DataFrame, bool]:
    """The labelled rows where there are both classes, else all; and whether there are."""
    rows = (table["label"] != UNLABELLED).to_numpy()
    classes = table.loc[rows, "label"].nunique()
    if classes < 2:
        what = "no labels" if not classes else f"labels of one class alone, {table.loc[rows, 'label'].iloc[0]}"
        notes.append(f"{name} has {what}: whether there is a shift can be told, not which")
        return table, False
    if not rows.all():
        notes.append(f"{name}: {int((~rows).sum())} rows without a label are left out")
    return table[rows], True


def _level(tables: list[pd.DataFrame], level: str | None, names: tuple[str, str], pool_exams: bool) -> Level:
    told = [measured_levels(table, pool_exams) for table in tables]
    both = [one for one in told[0] if one in told[1]]
    if level is None:
        return both[-1]  # images are always told
    wanted = level_named(level)
    for found, name in zip(told, names, strict=True):
        if wanted not in found:
            remedy = f"Take one of {', '.join(one.name for one in both)}, or name its column with --columns"
            raise MammoError("level_missing", f"nothing tells the {wanted.plural} of {name}", remedy)
    return wanted


def _cases(table: pd.DataFrame, level: Level, aggregates: Mapping[str, str], name: str) -> pd.DataFrame:
    found = at_level(table, level.name, aggregates)
    if found is None:
        raise MammoError("level_missing", f"nothing tells the {level.plural} of {name}", "Name another with --level")
    return found


def _views_notes(tables: list[pd.DataFrame], level: Level, names: tuple[str, str]) -> list[str]:
    """A line where cases are put together of more images at one place than at the other."""
    if not level.parts or any("patient_id" not in table for table in tables):
        return []
    views = [len(table) / table["patient_id"].nunique() for table in tables]
    if level.name in FINEST or max(views) < UNEVEN * min(views):
        return []
    return [
        f"a patient has {views[0]:.1f} images in {names[0]} and {views[1]:.1f} in {names[1]}: scores of "
        f"{level.plural} differ by that alone; --level image compares images"
    ]


def _pair_notes(tables: list[pd.DataFrame], names: tuple[str, str]) -> list[str]:
    """Lines on what both have in common, and on the patients of each."""
    notes = []
    if common := copied_rows(*(table.assign(label=0) for table in tables)):
        notes.append(f"{common} scores of {names[1]} stand in {names[0]} too: what is in both cannot differ")
    if all("patient_id" in table for table in tables):
        both = shared_names(*(table["patient_id"].drop_duplicates() for table in tables))
        if both:
            count = "1 patient is" if len(both) == 1 else f"{len(both)} patients are"
            notes.append(f"{count} in both files, such as {min(both)!r}; they are taken for other women each time")
    for table, name in zip(tables, names, strict=True):
        notes += [f"{name}: {note}" for note in patient_notes(table)]
    return notes


def _machine_notes(tables: list[pd.DataFrame], names: tuple[str, str]) -> list[str]:
    """A line where the site has machines, or versions of software, that the reference has not."""
    notes = []
    for column in MACHINE:
        if all(column in table for table in tables):
            known, ours = (set(table[column]) - {""} for table in tables)
            new = sorted(ours - known)
            if known and new:
                more = f" and {len(new) - NAMED} more" if len(new) > NAMED else ""
                rows = int(tables[1][column].isin(new).sum())
                told = ", ".join(new[:NAMED])
                notes.append(f"{column} {told}{more} ({rows} rows of {names[1]}) is not in {names[0]}")
    return notes
