"""Harmonised pictures in front of a trained row: fitted without a label, on women whom nothing is measured on.

The synthetic study images its training women on the two sources alone, so a machine's unlabelled pictures are of other
women, drawn like those of the study and imaged on every machine, the source included. A manifest of one's own has the
training patients of each machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.adaptation.domains import FEWEST, RECOMMENDED
from mammo_tf.adaptation.harmonising import fit
from mammo_tf.adaptation.harmonising_notes import notes
from mammo_tf.adaptation.ladder_measure import Dice
from mammo_tf.evaluation import read_predictions
from mammo_tf.experiments.mln_net.rows import EVERY_ROW, Row
from mammo_tf.experiments.mln_net.sizes import MACHINES, MlnSize
from mammo_tf.experiments.mln_net.study import PREVALENCE
from mammo_tf.experiments.study_recipes import Say
from mammo_tf.imaging.harmonising import Harmonising
from mammo_tf.phantom import CONSPICUOUS, PatientGroup, make_study
from mammo_tf.recipes.recipe import Evaluation
from mammo_tf.records import Records, open_records
from mammo_tf.records.behind import behind

PAIRED = "paired.json"
GROUP = "unlabelled"
TOLD_OF_ALL = "harmonising_threshold"
OTHER_WOMEN = 1_000_000  # added to a seed: its unlabelled women are none of its study's


def unlabelled_study(folder: Path, size: MlnSize, seed: int, workers: int) -> pd.DataFrame:
    """Training women of no other use, on every machine: the manifest, without a label or a finding.

    Args:
        folder: of the study.
        size: of the experiment; there are as many women as harmonising recommends, if so many are trained on.
        seed: of the experiment.
        workers: processes.
    """
    count = max(FEWEST, min(RECOMMENDED, size.patients[0]))
    manifest = make_study(
        folder, [PatientGroup(GROUP, count, MACHINES, "train")], MACHINES, seed + OTHER_WOMEN, size.spacing_mm,
        prevalence=PREVALENCE, conspicuity=CONSPICUOUS, workers=workers,
    )  # fmt: skip
    return manifest.assign(patient_id=f"{GROUP}_" + manifest["patient_id"], label="", findings="")


def training_patients(data: Path) -> int:
    """How many patients of training a folder of records has."""
    records = open_records(data)
    return int(records.rows["patient_id"].iloc[records.positions("train")].nunique())


def write_harmonising(source: Path, target: Path, out: Path, say: Say) -> None:
    """Fits what carries pictures of a machine to the look of the source's training pictures; says what is to be known.

    Args:
        source: records of the machine that was trained on.
        target: records of the machine's unlabelled training pictures.
        out: the file.
        say: is told.
    """
    found = fit(open_records(source), open_records(target))
    for note in notes(found):
        if note.code != TOLD_OF_ALL:
            say(f"{note.code}: {note.sentence}")
    found.save(out)


def harmonised(records: Records, path: Path) -> Records:
    """The records as a harmonising shows them: each picture as a whole, before tiles are cut of it.

    As a stream does for a model that holds the steps; here the model stays without them.
    """
    return behind(records, Harmonising.load(path).steps)


def with_untouched(rows: Sequence[Row]) -> list[Row]:
    """The rows, and in front of each that is harmonised the one that it is compared with."""
    compared = {row.trained for row in rows if row.harmonised}
    return [row for row in EVERY_ROW if row in rows or row.key in compared]


def paired_numbers(untouched: Path, harmonised: Path, evaluation: Evaluation) -> dict[str, Any]:
    """Dice of test pictures with a finding, as they are and harmonised, and the difference on the same pictures.

    Args:
        untouched, harmonised: folders with `predictions_test.csv` of the same records.
        evaluation: says how often patients are drawn.
    """
    before, after = (read_predictions(folder / "predictions_test.csv") for folder in (untouched, harmonised))
    measure = Dice()
    return {
        "untouched": measure.of(before, evaluation),
        "harmonised": measure.of(after, evaluation),
        "difference": measure.apart(before, after, evaluation),
    }


def look_file(place: Path, source: str, machine: str) -> Path:
    """Where the harmonising of a machine to a source lies.

    Args:
        place: folder of a seed.
        source, machine: their names.
    """
    return place / source / "harmonising" / f"{machine}.json"


def look_numbers(path: Path) -> dict[str, Any]:
    """What the tables tell of a harmonising."""
    found = Harmonising.load(path)
    return {
        "patients": found.target.patients, "curve_shift": found.curve_shift, "scales": list(found.scale_words),
        "robust_ratios": list(found.robust_ratios), "plain_ratios": list(found.plain_ratios),
        "notes": list(dict.fromkeys(note.code for note in notes(found) if note.code != TOLD_OF_ALL)),
    }  # fmt: skip
