"""The ladder's rows of all seeds: their part of `tables.json`, and of `tables.md`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from mammo_tf.adaptation.rungs.rung import CARRIED, FROM_TRAINING, FROM_VALIDATION, INTERCEPT, LABELS, MATCHED
from mammo_tf.experiments.ffdm_to_dbt.ladder import ROWS, LadderRow
from mammo_tf.experiments.ffdm_to_dbt.rows import over_seeds

HOW = (
    "Rows that the paper lacks: rungs of the ladder (`mammo-tf adapt`) from the same base model, on the same patients, "
    "images and patches as above, at the rates and epochs of the rows above. *MIP harmonised* are projections carried "
    "to the look of mammograms by curve and contrast by scale, fitted without a label on training images. Differences "
    "are paired, from test only on MIP."
)
POINTS = (
    "Sensitivity and specificity of test images (the mean over an image's patches) at the threshold that each row "
    "comes to; thresholds of untouched scores change no AUC."
)
WAYS = {
    CARRIED: "the base model's", MATCHED: "matched, no label", FROM_TRAINING: "chosen on training",
    INTERCEPT: "recalibrated, intercept", FROM_VALIDATION: "chosen on validation",
}  # fmt: skip
Cells = Callable[[Mapping[str, Any]], str]
UNTOUCHED = ROWS[0]  # test only on MIP, as they are


def gathered(found: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """Key of a row -> numbers of every seed, with mean and range over the seeds that tell one.

    Args:
        found: seed -> as `ladder.ladder_numbers` gives it.
    """
    rows: dict[str, Any] = {}
    for row in ROWS:
        seeds = {str(seed): one[row.key] for seed, one in found.items()}
        rows[row.key] = {"seeds": seeds}
        for name in ("auc", "difference"):
            told = {seed: float(one[name][name]) for seed, one in seeds.items() if name in one}
            rows[row.key][f"{name}_over_seeds"] = over_seeds(told) if told else None
    return {"how": HOW, "rows": rows}


def lines_of(ladder: Mapping[str, Any], seeds: Sequence[int]) -> Iterator[str]:
    """The part of `tables.md`.

    Args:
        ladder: as `gathered` gives it.
        seeds: which are shown.
    """
    compared = [row for row in ROWS if row.scored and row != UNTOUCHED]
    yield from ("## Rows of the ladder", "", ladder["how"], "")
    yield from _table(ladder, seeds, compared, "AUC", _auc, ("auc_over_seeds", ".3f"))
    yield ""
    yield from _table(ladder, seeds, compared, "against test only", _difference, ("difference_over_seeds", "+.3f"))
    yield from ("", POINTS, "")
    yield from _table(ladder, seeds, ROWS, "threshold", _point)


def _table(
    ladder: Mapping[str, Any],
    seeds: Sequence[int],
    rows: Sequence[LadderRow],
    title: str,
    cell: Cells,
    over: tuple[str, str] | None = None,
) -> Iterator[str]:
    named = [f"{title}, seed {seed}" for seed in seeds]
    yield f"| {' | '.join(['testing', 'procedure', 'labels', *(['mean (range)'] if over else []), *named])} |"
    yield "|---" * (3 + bool(over) + len(seeds)) + "|"
    for row in rows:
        found = ladder["rows"][row.key]
        testing = "MIP harmonised" if row.harmonised else "MIP"
        cells = [cell(found["seeds"][str(seed)]) for seed in seeds]
        mean = [_over(found[over[0]], over[1])] if over else []
        yield f"| {' | '.join([testing, row.training, _labels(found), *mean, *cells])} |"


def _labels(found: Mapping[str, Any]) -> str:
    told = next((one for one in found["seeds"].values() if "needs" in one), None)
    return "" if told is None else f"{told['patients']} patients" if told["needs"] == LABELS else "none"


def _over(one: Mapping[str, float] | None, digits: str) -> str:
    if one is None:
        return ""
    mean, low, high = (format(one[name], digits) for name in ("mean", "low", "high"))
    return f"{mean} ({low} to {high})"


def _auc(one: Mapping[str, Any]) -> str:
    if "auc" not in one:
        return f"does not apply: {one['why_not']}"
    found = one["auc"]
    deviation = "" if found["deviation"] is None else f" ± {found['deviation']:.3f}"
    return f"{found['auc']:.3f}{deviation} ({found['low']:.3f} to {found['high']:.3f})"


def _difference(one: Mapping[str, Any]) -> str:
    if "difference" not in one:
        return ""
    value, low, high = (one["difference"][name] for name in ("difference", "low", "high"))
    return f"{value:+.3f} ({low:+.3f} to {high:+.3f})"


def _point(one: Mapping[str, Any]) -> str:
    point = one.get("at_own")
    if point is None:
        return "none"
    values = [(point[name] or {}).get("value") for name in ("sensitivity", "specificity")]
    told = ", ".join("none" if value is None else f"{value:.2f}" for value in values)
    return f"{told} ({WAYS.get(one['threshold'], one['threshold'])})"
