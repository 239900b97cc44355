"""The numbers of all seeds to `tables.json`, `tables.md` (whose every number is in `tables.json`), and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammo_tf.experiments.mln_net.figures import write_figures
from mammo_tf.experiments.mln_net.harmonised import PAIRED, look_file, look_numbers
from mammo_tf.experiments.mln_net.rows import EVERY_ROW, METRICS, MODALITY
from mammo_tf.experiments.mln_net.sizes import DBT, FFDM, SMOKE, SOURCES, TARGETS, MlnSize
from mammo_tf.fields import to_json
from mammo_tf.files import read_json, write_json, write_text
from mammo_tf.recipes.environment import environment

NUMBERS = "numbers.json"
HARMONISED_HOW = (
    "Dice in % of test pictures that have a cluster, one in which nothing is called counting 0; the difference is "
    "harmonised minus untouched, of the same pictures. In brackets 95 % intervals, resampling patients; over several "
    "seeds the mean, and in brackets the smallest and the largest. Each picture is harmonised as a whole, then cut."
)
MORE = ("missed", "cluster_sensitivity", "false_clusters_per_image")
SYNTHETIC = (
    "A synthetic study with conspicuous clusters: it shows what the machinery does and how sure one can be, and says "
    "nothing about women."
)
SMOKE_BANNER = (
    "**A smoke run: few patients and few steps, to see that every part works. No number here says anything about a "
    "method, and none is to be quoted.**"
)
HOW = (
    "Test patients alone. TPR, precision and Dice are means over pictures that have what they are defined by (a "
    "finding, a call, one of both); distances, in mm, over pictures with both. In brackets 95 % intervals, resampling "
    "patients with all their pictures; over several seeds the mean, and in brackets the smallest and the largest."
)
PERCENT = ("tpr", "precision", "dsc", "missed", "cluster_sensitivity")
TITLES = {
    "tpr": "TPR, %", "precision": "precision, %", "dsc": "DSC, %", "hd": "HD, mm", "asd": "ASD, mm",
    "missed": "missed, %", "cluster_sensitivity": "clusters found, %", "false_clusters_per_image": "false a picture",
}  # fmt: skip


def row_numbers(folder: Path) -> dict[str, Any]:
    """What the tables show of one row on one machine.

    Args:
        folder: with the row's `metrics.json`.
    """
    image = read_json(folder / "metrics.json")["test"]["image"]
    return {name: {key: image[name].get(key) for key in ("value", "low", "high", "n")} for name in (*METRICS, *MORE)}


def write_tables(folder: Path, seeds: Sequence[int], size: MlnSize, synthetic: bool) -> Path:
    """Writes `tables.json`, `tables.md` and `figures/` of what is there; returns the path of tables.md.

    Args:
        folder: of the experiment.
        seeds: which are shown.
        size: of the experiment.
        synthetic: whether the data are the synthetic study.
    """
    tables = gathered(folder, seeds, size, synthetic)
    write_json(folder / "tables.json", tables)
    write_text(folder / "tables.md", tables_text(tables))
    write_figures(folder, seeds, tables)
    return folder / "tables.md"


def gathered(folder: Path, seeds: Sequence[int], size: MlnSize, synthetic: bool) -> dict[str, Any]:
    """Content of `tables.json`: of every source, row and machine the numbers of every seed.

    Args:
        folder, seeds, size, synthetic: as for `write_tables`.
    """
    machine = environment()
    about = {
        "data": "synthetic" if synthetic else "given", "smoke": size == SMOKE, "revision": machine["revision"],
        "packages": machine["packages"], "devices": machine["devices"], "seeds": list(seeds), "size": to_json(size),
        "how": HOW,
    }  # fmt: skip
    found = _by_row(folder, seeds, NUMBERS)
    paired = _by_row(folder, seeds, PAIRED)
    looks = {source: _looks(folder, seeds, source) for source in SOURCES}
    published = {row.key: {source: dict(values) for source, values in row.published.items()} for row in EVERY_ROW}
    seconds = {
        str(seed): read_json(path)
        for seed in seeds
        if (path := folder / f"seed_{seed}" / "seconds.json").is_file()
    }  # fmt: skip
    return {
        "about": about, "rows": found, "published": published, "paired": paired,
        "harmonising": {source: one for source, one in looks.items() if one}, "seconds": seconds,
    }  # fmt: skip


def _by_row(folder: Path, seeds: Sequence[int], name: str) -> dict[str, Any]:
    """Source -> key of a row -> machine -> seed -> content of a file of that name, where it is there."""
    found: dict[str, Any] = {}
    for source in SOURCES:
        for row in EVERY_ROW:
            for target in (source, *TARGETS[source]):
                places = {seed: folder / f"seed_{seed}" / source / row.key / f"on_{target}" / name for seed in seeds}
                there = {str(seed): read_json(place) for seed, place in places.items() if place.is_file()}
                if there:
                    found.setdefault(source, {}).setdefault(row.key, {})[target] = there
    return found


def _looks(folder: Path, seeds: Sequence[int], source: str) -> dict[str, Any]:
    """Machine -> seed -> what a harmonising to the source is like."""
    found: dict[str, Any] = {}
    for machine in (source, *TARGETS[source]):
        places = {seed: look_file(folder / f"seed_{seed}", source, machine) for seed in seeds}
        there = {str(seed): look_numbers(place) for seed, place in places.items() if place.is_file()}
        if there:
            found[machine] = there
    return found


def tables_text(tables: Mapping[str, Any]) -> str:
    """`tables.md`, of the content of `tables.json` and nothing else."""
    about = tables["about"]
    many = "one seed" if len(about["seeds"]) == 1 else f"{len(about['seeds'])} seeds"
    lines = ["# Clusters of microcalcifications on machines never seen: MLN-net and what it is compared with", ""]
    lines += [f"`mammo-tf tables mln-net`, {many}, revision {about['revision'][:7] or 'unknown'}.", ""]
    lines += [SMOKE_BANNER, ""] if about["smoke"] else []
    lines += [SYNTHETIC, ""] if about["data"] == "synthetic" else []
    lines += [about["how"], ""]
    for source, rows in tables["rows"].items():
        for target in (*TARGETS[source], source):
            kind = "its own test patients" if target == source else target
            lines += [f"## Trained on {source}, tested on {kind}", "", *_table(tables, source, target, rows), ""]
    for source, rows in tables["paired"].items():
        lines += [f"## Harmonised, trained on {source}", "", HARMONISED_HOW, "", *_pairs(tables, source, rows), ""]
        lines += [*_look_table(tables, source), ""]
    lines += ["## Time", "", *_times(tables), ""]
    return "\n".join(lines)


def _table(tables: Mapping[str, Any], source: str, target: str, rows: Mapping[str, Any]) -> Iterator[str]:
    other = {FFDM: DBT, DBT: FFDM}.get(source)
    paper = target == other
    names = (*METRICS, *MORE)
    yield f"| row | {'paper DSC, HD | ' if paper else ''}{' | '.join(TITLES[name] for name in names)} |"
    yield "|---" * (1 + paper + len(names)) + "|"
    for row in EVERY_ROW:
        seeds = rows.get(row.key, {}).get(target)
        if seeds is None:
            continue
        cells = [_cell([one[name] for one in seeds.values()], 100 if name in PERCENT else 1) for name in names]
        said = tables["published"][row.key].get(MODALITY.get(source, ""), {})
        published = f"{said['dsc']:.1f}, {said['hd']:.1f} | " if paper and said else "| " if paper else ""
        yield f"| {row.title} | {published}{' | '.join(cells)} |"


def _pairs(tables: Mapping[str, Any], source: str, rows: Mapping[str, Any]) -> Iterator[str]:
    seeds = tables["about"]["seeds"]
    titles = {row.key: row.title for row in EVERY_ROW}
    yield f"| row | tested on | untouched | harmonised | {' | '.join(f'difference, seed {seed}' for seed in seeds)} |"
    yield "|---" * (4 + len(seeds)) + "|"
    for key, machines in rows.items():
        for machine in (one for one in (source, *TARGETS[source]) if one in machines):
            found = machines[machine]
            both = [_cell([one[name] for one in found.values()], 100) for name in ("untouched", "harmonised")]
            apart = [_apart(found[str(seed)]["difference"]) if str(seed) in found else "" for seed in seeds]
            yield f"| {titles[key]} | {machine} | {' | '.join([*both, *apart])} |"


def _apart(one: Mapping[str, Any]) -> str:
    if one["value"] is None:
        return "none"
    value, low, high = (100 * (one["value"] if one[name] is None else one[name]) for name in ("value", "low", "high"))
    return f"{value:+.1f} ({low:+.1f} to {high:+.1f})"


def _look_table(tables: Mapping[str, Any], source: str) -> Iterator[str]:
    yield "| pictures of | seed | curve moves a pixel by | contrast by scale, times | what is said of it |"
    yield "|---" * 5 + "|"
    for machine, seeds in tables["harmonising"].get(source, {}).items():
        for seed, one in seeds.items():
            gains = ", ".join(f"{gain:.2f}" for gain in one["robust_ratios"])
            said = ", ".join(one["notes"])
            yield f"| {machine} | {seed} | {one['curve_shift']:.3f} | {gains} | {said} |"


def _cell(many: Sequence[Mapping[str, Any]], factor: float) -> str:
    """One seed with its interval, or the mean of several with the smallest and the largest."""
    values = [one["value"] for one in many if one["value"] is not None]
    if not values:
        return "none"
    if len(many) == 1:
        low, high = many[0]["low"], many[0]["high"]
        ends = "" if low is None else f" ({factor * low:.1f} to {factor * high:.1f})"
        return f"{factor * values[0]:.1f}{ends}"
    counted = "" if len(values) == len(many) else f", {len(values)} seeds"
    return f"{factor * np.mean(values):.1f} ({factor * min(values):.1f} to {factor * max(values):.1f}{counted})"


def _times(tables: Mapping[str, Any]) -> Iterator[str]:
    yield "| step, seconds | " + " | ".join(f"seed {seed}" for seed in tables["seconds"]) + " |"
    yield "|---" * (1 + len(tables["seconds"])) + "|"
    steps = list(dict.fromkeys(step for one in tables["seconds"].values() for step in one))
    for step in steps:
        yield f"| {step} | {' | '.join(str(one.get(step, '')) for one in tables['seconds'].values())} |"
