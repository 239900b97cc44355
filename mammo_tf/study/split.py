"""Train, validation and test: by patient, stratified, matched pairs kept together."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from mammo_tf.errors import MammoError
from mammo_tf.study.cells import LABELS, SPLITS
from mammo_tf.study.manifest import UNLABELLED, truth
from mammo_tf.study.spelling import one_spelling, spelled_alike

AGE_BAND_YEARS = 5
LEAKING = ("patient_id", "pair_id", "path", "frame", "split")  # what `check_leakage` looks at


def assign_splits(
    manifest: pd.DataFrame,
    fractions: Sequence[float] = (0.7, 0.1, 0.2),
    stratify: Sequence[str] = (),
    pairs: bool = False,
    seed: int = 0,
) -> pd.DataFrame:
    """The manifest with `split` filled: every patient, or every matched pair, lies in one part.

    Units (patients or pairs) are shuffled within their stratum, and walking through the strata each unit goes to
    the part that is furthest behind its fraction, so every stratum is shared out in proportion. The number of units
    in train and validation is rounded down, the rest is test: 191 pairs at 70/10/20 give 133, 19 and 39. Names that
    differ in their spelling alone (`spelled_alike`) are one patient's or one pair's.

    Args:
        manifest: rows as `read_manifest` gives them.
        fractions: of train, validation, test; any positive scale (70, 10, 20 is fine).
        stratify: columns to balance. `age` counts in bands of five years, `label` by the worst label of the unit,
            other columns by the unit's first value.
        pairs: keep patients with the same `pair_id` together; a patient without one is a unit alone.
        seed: decides the shuffle.

    Raises:
        MammoError: `fractions_wrong`, `column_missing`, `pairs_missing`, `too_few_patients`.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not np.isfinite(shares).all() or (shares < 0).any() or shares.sum() <= 0:
        raise MammoError("fractions_wrong", f"fractions {fractions} are not three shares", "Write 70,10,20")
    if seed < 0:
        raise MammoError("seed_wrong", f"the seed {seed} is below 0")
    unknown = [column for column in stratify if column not in manifest]
    if unknown:
        raise MammoError("column_missing", f"the manifest has no column {unknown[0]!r} to stratify by")
    if pairs and not (manifest["pair_id"] != "").any():
        raise MammoError("pairs_missing", "no row has a pair_id", "Leave out --pairs")
    units = _units(manifest, pairs)
    names = sorted(set(units))
    shares = shares / shares.sum()
    quota = np.floor(shares * len(names) + 1e-9).astype(int)
    quota[2 if shares[2] > 0 else int(np.argmax(shares))] += len(names) - quota.sum()
    starved = [SPLITS[part] for part in range(3) if shares[part] > 0 and quota[part] == 0]
    if starved:
        kind = "pairs" if pairs else "patients"
        raise MammoError("too_few_patients", f"{len(names)} {kind} leave none for {starved[0]}", "Change the fractions")

    strata = _strata(manifest, units, names, stratify)
    shuffled = np.random.default_rng(seed).permutation(len(names))
    order = sorted(shuffled, key=lambda index: strata[index])
    counts = np.zeros(3, dtype=int)
    part_of = {}
    for done, index in enumerate(order, 1):
        behind = np.where(counts < quota, quota * done / len(names) - counts, -np.inf)
        part = int(np.argmax(behind))
        counts[part] += 1
        part_of[names[index]] = SPLITS[part]
    result = manifest.copy()
    result["split"] = [part_of[unit] for unit in units]
    return result


def _units(manifest: pd.DataFrame, pairs: bool) -> list[str]:
    if not pairs:
        return one_spelling(manifest["patient_id"])
    manifest = manifest.assign(
        patient_id=one_spelling(manifest["patient_id"]), pair_id=one_spelling(manifest["pair_id"])
    )
    pair_of = manifest[manifest["pair_id"] != ""].groupby("patient_id")["pair_id"].nunique()
    if (pair_of > 1).any():
        raise MammoError("pairs_contradictory", "a patient has two pair_ids", "Fix the column pair_id")
    joined = manifest.assign(pair_id=manifest.groupby("patient_id")["pair_id"].transform("max"))
    return [
        f"pair {pair}" if pair else f"patient {patient}"
        for pair, patient in zip(joined["pair_id"], joined["patient_id"], strict=True)
    ]


def _strata(
    manifest: pd.DataFrame, units: list[str], names: list[str], stratify: Sequence[str]
) -> list[tuple[str | float, ...]]:
    keyed = manifest.assign(_unit=units)
    columns: list[list[str | float]] = []
    for column in stratify:
        if column == "age":
            bands = keyed.groupby("_unit")["age"].mean() // AGE_BAND_YEARS
            columns.append([float(bands[name]) if pd.notna(bands[name]) else -1.0 for name in names])
        elif column == "label":
            rank = {label: place for place, label in enumerate(("", *LABELS))}
            worst = keyed["label"].map(rank).groupby(keyed["_unit"]).max()
            columns.append([float(worst[name]) for name in names])
        else:
            first = keyed.groupby("_unit")[column].first()
            columns.append([str(first[name]) for name in names])
    return [tuple(values) for values in zip(*columns, strict=True)] if columns else [()] * len(names)


def with_splits_of(manifest: pd.DataFrame, before: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """A manifest that is listed again keeps its splits; patients that are new have none yet.

    Args:
        manifest: the new rows; a split that they tell counts. Those of a patient or pair with images in several splits,
            as after identifiers were corrected, all go to the first of `SPLITS`.
        before: the rows of the manifest that is replaced.

    Returns:
        The rows with splits, and a line that says what became of them; "" where there were none.
    """
    placed = before[before["split"] != ""]
    if placed.empty:
        return manifest, ""
    of_image = dict(zip(placed["image_id"], placed["split"], strict=True))
    of_patient = dict(zip(spelled_alike(placed["patient_id"]), placed["split"], strict=True))
    patients = spelled_alike(manifest["patient_id"])
    result = manifest.copy()
    result["split"] = [
        told or of_image.get(image) or of_patient.get(patient, "")
        for told, image, patient in zip(manifest["split"], manifest["image_id"], patients, strict=True)
    ]
    several = _torn(patients, result["split"])
    for column in ("patient_id", "pair_id", "patient_id"):
        result["split"] = _joined(result, manifest["split"], column)
    unplaced = {patient for patient, split in zip(patients, result["split"], strict=True) if not split}
    kept, gone = set(of_patient) & set(patients), set(of_patient) - set(patients)
    said = [f"kept the splits of {len(kept)} of {len(of_patient)} patients"]
    said += [f"{len(several)} had images in several and went to the first of {', '.join(SPLITS)}"] if several else []
    said += [f"{len(gone)} are not there any more"] if gone else []
    said += [f"{len(unplaced)} have no split yet (mammo-tf split gives everyone a new one)"] if unplaced else []
    return result, ", ".join(said)


def _torn(names: Iterable[str], splits: Iterable[str]) -> dict[str, list[str]]:
    """The parts of each name that stands in several, in order of the names; "" is neither a name nor a part."""
    first: dict[str, str] = {}
    torn: dict[str, set[str]] = {}
    for name, split in zip(names, splits, strict=True):
        if name and split and first.setdefault(name, split) != split:
            torn.setdefault(name, {first[name]}).add(split)
    return {name: sorted(torn[name]) for name in sorted(torn)}


def _joined(manifest: pd.DataFrame, told: pd.Series, column: str) -> list[str]:
    """Splits of the rows, equal where a column names the same: the one that is told, else the first of `SPLITS`.

    Whoever was in train stays there: a model that has seen her may be measured on the others.
    """
    names, splits = spelled_alike(manifest[column]), list(manifest["split"])
    rows = list(zip(names, told, splits, strict=True))
    first: dict[str, str] = {}
    for name, said, split in sorted(rows, key=lambda row: (not row[1], SPLITS.index(row[2]) if row[2] else 0)):
        if name and split:
            first.setdefault(name, said or split)
    return [said or first.get(name, split) for name, said, split in rows]


def check_leakage(manifest: pd.DataFrame) -> None:
    """Refuses a manifest in which a patient, a matched pair or a picture stands in two parts, however it is spelled.

    Raises:
        MammoError: `patient_in_two_splits`, `pair_in_two_splits`, `picture_in_two_splits`.
    """
    known = [column for column in (*LEAKING, "series") if column in manifest]
    placed = manifest.loc[manifest["split"] != "", known]
    for column, code, what in (
        ("patient_id", "patient_in_two_splits", "patient"),
        ("pair_id", "pair_in_two_splits", "pair"),
    ):
        torn = _torn(spelled_alike(placed[column]), placed["split"])
        if torn:
            key, parts = next(iter(torn.items()))
            alike = placed[column][[name == key for name in spelled_alike(placed[column])]]
            first, *others = dict.fromkeys(alike)
            told = f"{first!r} (also spelled {others[0]!r})" if others else repr(first)
            raise MammoError(
                code,
                f"{len(torn)} {what}(s) in more than one split, first {told} in {', '.join(parts)}",
                "Split again with mammo-tf split (with --pairs, if there are pairs)",
            )
    places = map(posixpath.normpath, placed["path"])
    series = placed.get("series", pd.Series("", placed.index))  # of a folder that holds slices of several
    pictures = zip(places, placed["frame"], series, strict=True)
    torn = _torn((" ".join(one).strip() for one in pictures), placed["split"])
    if torn:
        raise MammoError("picture_in_two_splits", f"the file {next(iter(torn))} is in more than one split")


def check_classes(
    manifest: pd.DataFrame, positives: Sequence[str], splits: Sequence[str] = SPLITS, column: str = "label"
) -> None:
    """Refuses a split without positives or without negatives; rows that do not tell do not count.

    Args:
        manifest: rows.
        positives, column: as for `truth`.
        splits: which are looked at.

    Raises:
        MammoError: `split_empty`, `label_missing` where no row of a split tells, `no_positives`, `no_negatives`;
            those of `truth`.
    """
    for split in splits:
        found = truth(manifest[manifest["split"] == split], positives, column)
        told = found[found != UNLABELLED]
        if not len(found):
            raise MammoError("split_empty", f"no image is in split {split}", "Run mammo-tf split")
        if not len(told):
            sentence = f"{column} is empty for all {len(found)} images of split {split}"
            raise MammoError("label_missing", sentence, f"Fill the column {column} of the manifest")
        if told.all() or not told.any():
            code, what = ("no_positives", "positive") if not told.any() else ("no_negatives", "negative")
            where = "" if column == "label" else f"{column} "
            raise MammoError(
                code,
                f"split {split} has {len(told)} images and no {what} one (positive is {where}{', '.join(positives)})",
                f"Split again with --stratify {column}, or change what counts as positive",
            )
