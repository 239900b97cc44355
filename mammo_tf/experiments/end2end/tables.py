"""The numbers of all seeds to `tables.json` and figures, and to `tables.md`, whose every number is in `tables.json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from mammo_tf.evaluation import Metrics
from mammo_tf.evaluation.number_text import DIFFERENCE, PLAIN, TABLE, TABLE_DIFFERENCE, TABLE_PLAIN, number_text
from mammo_tf.experiments.end2end.claims import findings, published_words
from mammo_tf.experiments.end2end.recipes import FAMILIES, OWN, PHANTOM, SMOKE, ThesisSize
from mammo_tf.experiments.end2end.rows import IN_DOMAIN, PUBLISHED, ThesisRow, target_rows
from mammo_tf.experiments.study_recipes import Say
from mammo_tf.fields import to_json
from mammo_tf.files import read_json, write_json, write_text
from mammo_tf.recipes.environment import environment
from mammo_tf.reporting.figures import roc_figure
from mammo_tf.reporting.losses import loss_figure, read_log
from mammo_tf.reporting.palette import save_figure
from mammo_tf.reporting.scores import Scores, scores_at

Number = Mapping[str, Any]
LEVELS = ("image", "breast", "patient")
RATES = ("sensitivity", "specificity", "accuracy")
DIGITS = 6
SYNTHETIC = (
    "A synthetic study with conspicuous findings: it shows what the machinery does and how sure one can be, and says "
    "nothing about women."
)
SMOKE_BANNER = (
    "**A smoke run: few patients and few steps, to see that every part works. No number here says anything about a "
    "method, and none is to be quoted.**"
)
HOW = (
    "AUC per image, as the thesis has it, per breast (mean of its views) and per patient (maximum of the breasts; a "
    "row with radiomics has one score a patient). Thresholds: largest G-mean on validation, at the same level. (Ends) "
    "are of 95 % and resample patients with all their images; [those in brackets] resample images, as the thesis did. "
    "Differences are paired, on the same test patients; p: of the bootstrap over patients, and DeLong's, which takes "
    "images for independent; q: the former, adjusted for all comparisons of a seed and level (Benjamini and Hochberg)."
)


def write_tables(folder: Path, seeds: Sequence[int], size: ThesisSize, synthetic: bool, say: Say) -> Path:
    """Writes `tables.json`, `tables.md` and `figures/` of finished seeds; returns the path of tables.md.

    Args:
        folder: of the experiment.
        seeds: whose `seed_<n>/numbers.json` are there.
        size: of the experiment.
        synthetic: whether the data are the synthetic study.
        say: is told what the claims came to.
    """
    found = {seed: read_json(folder / f"seed_{seed}" / "numbers.json") for seed in seeds}
    tables = gathered(found, size, synthetic)
    tables["seconds"] = {str(seed): _seconds(folder / f"seed_{seed}" / "seconds.json") for seed in seeds}
    write_json(folder / "tables.json", tables)
    write_text(folder / "tables.md", tables_text(tables))
    for seed in seeds:
        write_seed_figures(folder / f"seed_{seed}", found[seed], size.families, folder / "figures" / f"seed_{seed}")
    for claim in tables["claims"]:
        say(f"{claim['claim']}. {claim['sentence']}")
    return folder / "tables.md"


def _seconds(path: Path) -> dict[str, float]:
    return dict(read_json(path)) if path.is_file() else {}


def gathered(found: Mapping[int, Mapping[str, Any]], size: ThesisSize, synthetic: bool) -> dict[str, Any]:
    """Content of `tables.json`: every seed's numbers, mean and range over the seeds, claims, and what was published.

    Args:
        found: seed -> as `seed_numbers` gives it, with `counts`.
        size: of the experiment.
        synthetic: whether the data are the synthetic study.
    """
    machine = environment()
    tables: dict[str, Any] = {
        "about": {
            "data": "synthetic" if synthetic else "collections",
            "command": _command(list(found), size, synthetic),
            "smoke": _is_smoke(size),
            "revision": machine["revision"],
            "packages": machine["packages"],
            "devices": machine["devices"],
            "seeds": list(found),
            "size": to_json(size),
            "how": HOW,
        },
        "published": {key: dict(row) for key, row in PUBLISHED.items()},
        "counts": {str(seed): one["counts"] for seed, one in found.items()},
    }
    for part in ("in_domain", "rows", "differences"):
        keys = list(dict.fromkeys(key for one in found.values() for key in one[part]))
        tables[part] = {
            key: {
                "seeds": {str(seed): _plain(one[part][key]) for seed, one in found.items() if key in one[part]},
                "over_seeds": over_seeds([one[part][key] for one in found.values() if key in one[part]]),
            }
            for key in keys
        }
    tables["claims"] = findings({seed: one["differences"] for seed, one in found.items()}, size.families)
    return tables


def _command(seeds: Sequence[int], size: ThesisSize, synthetic: bool) -> str:
    """What makes these tables, without names of folders."""
    words = ["mammo-tf tables", *(f"--seed {seed}" for seed in seeds)]
    if not synthetic:
        words.append("--target ... --start-1 ... --start-2 ...")
    elif _is_smoke(size):
        words.append("--smoke")
    elif size.pairs != PHANTOM.pairs:
        words.append(f"--pairs {size.pairs}")
    return " ".join(words)


def _is_smoke(size: ThesisSize) -> bool:
    return replace(size, pairs=SMOKE.pairs) == SMOKE


def _plain(levels: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers without the words on how they were made, which `about.how` says for all, and rounded."""

    def rounded(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: rounded(item) for key, item in value.items() if key != "how"}
        return round(value, DIGITS) if isinstance(value, float) else value

    return dict(rounded(levels))


def over_seeds(levels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """`{level: {metric: {mean, low, high, seeds}}}`: mean, smallest and largest of the seeds' values."""
    values: dict[str, dict[str, list[float]]] = {}
    for one in levels:
        for level, numbers in one.items():
            for name, number in numbers.items():
                if number["value"] is not None:
                    values.setdefault(level, {}).setdefault(name, []).append(float(number["value"]))
    return {
        level: {
            name: {
                "mean": round(sum(many) / len(many), DIGITS), "low": round(min(many), DIGITS),
                "high": round(max(many), DIGITS), "seeds": len(many),
            }
            for name, many in numbers.items()
        }
        for level, numbers in values.items()
    }  # fmt: skip


def tables_text(tables: Mapping[str, Any]) -> str:
    """`tables.md`, of the content of `tables.json` and nothing else."""
    about = tables["about"]
    families = tuple(about["size"]["families"])
    many = "one seed" if len(about["seeds"]) == 1 else f"{len(about['seeds'])} seeds"
    lines = ["# The thesis's tables", ""]
    lines += [f"`{about['command']}`, {many}, revision {about['revision'][:7] or 'unknown'}.", ""]
    if about.get("smoke"):
        lines += [SMOKE_BANNER, ""]
    if about["data"] == "synthetic":
        lines += [SYNTHETIC, ""]
    lines += [about["how"], "", "## What the thesis says, and what these runs say", ""]
    for name in dict.fromkeys(claim["claim"] for claim in tables["claims"]):
        lines.append(f"- **{name}.** {published_words(name, families)}")
        lines += [f"  - {claim['sentence']}" for claim in tables["claims"] if claim["claim"] == name]
    if OWN in families:
        lines += [
            "",
            "Own rates, dropout and mirroring are those of the demonstration, fixed before this was first run.",
        ]
        lines.append("As run, configurations 1 and 2 train the same layers, so they are one row.")
        lines.append("Rate and epochs of model 1's patches were set on validation of source site 1 (docs/tables.md).")
    if tables["in_domain"]:
        lines += [
            "",
            "## In domain and across the sources (Tables 2 and 3)",
            "",
            *_row_table(tables, "in_domain", IN_DOMAIN),
        ]
    lines += ["", "## At the target (Tables 4, 5, 8 and 9)", "", *_row_table(tables, "rows", target_rows(families))]
    lines += ["", "## Paired differences of AUC at the target", "", *_difference_table(tables)]
    lines += ["", "## Patients", "", *_count_table(tables)]
    return "\n".join([*lines, ""])


def _row_table(tables: Mapping[str, Any], part: str, rows: Sequence[ThesisRow]) -> Iterator[str]:
    """A line a row and seed, behind each row's mean and range over the seeds."""
    yield "| row | seed | AUC per image | per breast | per patient | sensitivity | specificity | accuracy | threshold |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        if row.key not in tables[part]:
            continue
        published = tables["published"].get(row.published)
        if published is not None:
            rates = (f"{published[name]:.3f}" for name in ("sensitivity", "specificity"))
            area = number_text({**published, "value": published["auc"]})
            places = ["", "", area] if row.level == "patient" else [area, "", ""]
            yield _line([row.title, "thesis", *places, *rates, "", f"{published['threshold']:.3f}"])
        found = tables[part][row.key]
        if len(found["seeds"]) > 1:
            over = found["over_seeds"]
            areas = [_range(over.get(level, {}).get("auc")) for level in LEVELS]
            own = over.get(row.level, {})
            yield _line([row.title, "mean (range)", *areas, *(_range(own.get(name)) for name in RATES), ""])
        for seed, levels in found["seeds"].items():
            areas = [
                number_text(levels.get(level, {}).get("auc"), TABLE if level == "image" else TABLE_PLAIN)
                for level in LEVELS
            ]
            own = levels[row.level]
            rates = (number_text(own.get(name), TABLE_PLAIN) for name in (*RATES, "threshold"))
            yield _line([row.title, seed, *areas, *rates])


def _difference_table(tables: Mapping[str, Any]) -> Iterator[str]:
    yield "| second minus first | seed | " + " | ".join(f"per {level} | p, q, DeLong's p" for level in LEVELS) + " |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, found in tables["differences"].items():
        name = key.replace("_", " ")
        if len(found["seeds"]) > 1:
            cells = []
            for level in LEVELS:
                cells += [_range(found["over_seeds"].get(level, {}).get("auc_difference"), signed=True), ""]
            yield _line([name, "mean (range)", *cells])
        for seed, levels in found["seeds"].items():
            cells = []
            for level in LEVELS:
                numbers = levels.get(level, {})
                number, delong = numbers.get("auc_difference"), numbers.get("auc_difference_delong", {})
                tests = [(number or {}).get("p"), (number or {}).get("q"), delong.get("p")]
                form = TABLE_DIFFERENCE if level == "image" else replace(TABLE_DIFFERENCE, cases="")
                cells.append(number_text(number, form))
                cells.append(", ".join("-" if test is None else f"{test:.3f}" for test in tests) if numbers else "")
            yield _line([name, seed, *cells])


def _count_table(tables: Mapping[str, Any]) -> Iterator[str]:
    yield "| seed | site | split | patients | pairs | images | positive images |"
    yield "|---|---|---|---|---|---|---|"
    for seed, sites in tables["counts"].items():
        for site, splits in sites.items():
            for split, numbers in splits.items():
                yield _line([seed, site.replace("_", " "), split, *(str(number) for number in numbers.values())])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _range(number: Number | None, signed: bool = False) -> str:
    if number is None:
        return ""
    return number_text({**number, "value": number["mean"]}, DIFFERENCE if signed else PLAIN)


def write_seed_figures(place: Path, numbers: Mapping[str, Any], families: tuple[str, ...], folder: Path) -> None:
    """ROC curves at the target, and Figures 3 and 4: losses of configurations 1 and 2, stages marked. SVG and PNG each.

    Args:
        place: folder of the seed.
        numbers: as `seed_numbers` gives them.
        families: of rates that were run.
        folder: where the figures go.
    """
    rows = {row.key: row for row in target_rows(families)}
    tables = {key: rows[key].predictions(place) for key in numbers["rows"]}
    tables = {key: table[table["split"] == "test"] for key, table in tables.items()}
    for family in families:
        drawn = ("model_1", "baseline", f"config_1_{family}", f"config_2_{family}")
        _roc(rows, tables, numbers, drawn, "image", folder / f"roc_images_{family}", f"per image, {FAMILIES[family]}")
        for number in (1, 2):
            log = read_log(place / f"config_{number}_{family}" / "log.csv")
            about = f"Losses of configuration {number}, {FAMILIES[family]}"
            save_figure(loss_figure(log), folder / f"figure_{number + 2}_config_{number}_{family}", about)
    drawn = ("baseline", "plain_mean", "radiomics_34", f"config_2_{families[-1]}")
    _roc(rows, tables, numbers, drawn, "patient", folder / "roc_patients", "per patient")


def _roc(
    rows: Mapping[str, ThesisRow],
    tables: Mapping[str, pd.DataFrame],
    numbers: Mapping[str, Any],
    drawn: Sequence[str],
    level: str,
    path: Path,
    about: str,
) -> None:
    models = []
    for key in drawn:
        if key in tables:
            models.append(_scores(rows[key], tables[key], numbers["rows"][key], level))
    shown = [model for model in models if model is not None]
    if shown:
        save_figure(roc_figure(shown), path, f"ROC curves with 95 % bands over patients at the target, {about}")


def _scores(row: ThesisRow, table: pd.DataFrame, levels: Mapping[str, Any], level: str) -> Scores | None:
    """A row's scores; a line of a patient model is a patient, so its lines are the cases."""
    if row.classifier:
        return scores_at(row.title, table, Metrics({"test": {"image": levels["patient"]}}), "test", "image")
    return scores_at(row.title, table, Metrics({"test": dict(levels)}), "test", level)
