"""The numbers of all seeds to `tables.json`, `tables.md` (whose every number is in `tables.json`), and figures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mammo_tf.experiments.ffdm_to_dbt import ladder_text
from mammo_tf.experiments.ffdm_to_dbt.figures import cdf_figure, policy_figure, read_policies, samples_figure
from mammo_tf.experiments.ffdm_to_dbt.recipes import DBT, FFDM, SMOKE, PaperSize
from mammo_tf.experiments.ffdm_to_dbt.rows import DIFFERENCES, ROWS, over_seeds
from mammo_tf.fields import to_json
from mammo_tf.files import read_json, write_json, write_text
from mammo_tf.imaging import DomainHistogram
from mammo_tf.recipes.environment import environment
from mammo_tf.records import open_records
from mammo_tf.reporting.palette import save_figure
from mammo_tf.training import load_model

NUMBERS, LADDER_NUMBERS = "numbers.json", "ladder_numbers.json"
SYNTHETIC = (
    "A synthetic study with conspicuous findings: it shows what the machinery does and how sure one can be, and says "
    "nothing about women."
)
SMOKE_BANNER = (
    "**A smoke run: few patients and few steps, to see that every part works. No number here says anything about a "
    "method, and none is to be quoted.**"
)
HOW = (
    "AUC of patches of test patients who have both modalities. Each image gives one patch a draw; the mean of the "
    "draws' AUCs, ± their standard deviation (n - 1), which is the paper's error, and (in brackets) the 95 % interval "
    "of that mean, resampling patients with all their images. Differences are paired: the same patients, images and "
    "patches."
)
WORDS = {
    "matching": "histogram matching, without training",
    "last_layer": "fine-tuning the last layer",
    "spottune": "SpotTune",
    "last_layer_after_matching": "fine-tuning the last layer after matching",
    "spottune_after_matching": "SpotTune after matching",
    "matching_against_spottune": "matching alone, against SpotTune without it",
}


def write_tables(folder: Path, seeds: Sequence[int], size: PaperSize, synthetic: bool) -> Path:
    """Writes `tables.json`, `tables.md` and `figures/` of finished seeds; returns the path of tables.md.

    Args:
        folder: of the experiment.
        seeds: whose numbers are there.
        size: of the experiment.
        synthetic: whether the data are the synthetic study.
    """
    found, ladders = (
        {seed: read_json(folder / f"seed_{seed}" / name) for seed in seeds} for name in (NUMBERS, LADDER_NUMBERS)
    )
    seconds = {str(seed): read_json(folder / f"seed_{seed}" / "seconds.json") for seed in seeds}
    tables = gathered(found, size, synthetic) | {"ladder": ladder_text.gathered(ladders), "seconds": seconds}
    write_json(folder / "tables.json", tables)
    write_text(folder / "tables.md", tables_text(tables))
    for seed in seeds:
        _write_figures(folder / f"seed_{seed}", folder / "figures" / f"seed_{seed}")
    return folder / "tables.md"


def gathered(found: Mapping[int, Mapping[str, Any]], size: PaperSize, synthetic: bool) -> dict[str, Any]:
    """Content of `tables.json`: every seed's numbers, mean and range over the seeds, and what was published.

    Args:
        found: seed -> as `rows.seed_numbers` gives it.
        size: of the experiment.
        synthetic: whether the data are the synthetic study.
    """
    machine = environment()
    about = {
        "data": "synthetic" if synthetic else "given", "command": _command(list(found), size, synthetic),
        "smoke": size == SMOKE, "revision": machine["revision"], "packages": machine["packages"],
        "devices": machine["devices"], "seeds": list(found), "size": to_json(size), "how": HOW,
    }  # fmt: skip
    rows = {row.key: {str(seed): one["rows"][row.key] for seed, one in found.items()} for row in ROWS}
    differences = {
        key: {str(seed): one["differences"][key] for seed, one in found.items()} for key, _, _ in DIFFERENCES
    }
    return {
        "about": about,
        "published": {row.key: list(row.published) for row in ROWS},
        "rows": {key: {"seeds": many, "over_seeds": _over(many, "auc")} for key, many in rows.items()},
        "differences": {
            key: {"seeds": many, "over_seeds": _over(many, "difference")} for key, many in differences.items()
        },
    }


def _over(many: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, float]:
    return over_seeds({seed: float(one[name]) for seed, one in many.items()})


def _command(seeds: Sequence[int], size: PaperSize, synthetic: bool) -> str:
    """What makes these tables, without names of folders."""
    words = ["mammo-tf tables ffdm-to-dbt", *(f"--seed {seed}" for seed in seeds)]
    words += [] if synthetic else ["--manifest ..."]
    return " ".join([*words, *(["--smoke"] if size == SMOKE else [])])


def tables_text(tables: Mapping[str, Any]) -> str:
    """`tables.md`, of the content of `tables.json` and nothing else."""
    about = tables["about"]
    many = "one seed" if len(about["seeds"]) == 1 else f"{len(about['seeds'])} seeds"
    lines = ["# From mammograms to tomosynthesis: Table 2", ""]
    lines += [f"`{about['command']}`, {many}, revision {about['revision'][:7] or 'unknown'}.", ""]
    lines += [SMOKE_BANNER, ""] if about["smoke"] else []
    lines += [SYNTHETIC, ""] if about["data"] == "synthetic" else []
    lines += [about["how"], "", *_row_table(tables), "", "## Paired differences", "", *_difference_table(tables), ""]
    if "ladder" in tables:
        lines += [*ladder_text.lines_of(tables["ladder"], about["seeds"]), ""]
    lines += ["## Time", "", *_time_table(tables)]
    return "\n".join([*lines, ""])


def _row_table(tables: Mapping[str, Any]) -> Iterator[str]:
    seeds = tables["about"]["seeds"]
    yield f"| training | testing | procedure | paper | mean (range) | {' | '.join(f'seed {seed}' for seed in seeds)} |"
    yield "|---" * (5 + len(seeds)) + "|"
    for row in ROWS:
        found = tables["rows"][row.key]
        value, deviation = tables["published"][row.key]
        cells = [_auc(one) for one in found["seeds"].values()]
        over = found["over_seeds"]
        range_ = f"{over['mean']:.3f} ({over['low']:.3f} to {over['high']:.3f})"
        about = f"{row.title} | {row.procedure} | {value:.3f} ± {deviation:.3f}"
        yield f"| FFDM | {about} | {range_} | {' | '.join(cells)} |"


def _auc(one: Mapping[str, Any]) -> str:
    deviation = "" if one["deviation"] is None else f" ± {one['deviation']:.3f}"
    return f"{one['auc']:.3f}{deviation} ({one['low']:.3f} to {one['high']:.3f})"


def _difference_table(tables: Mapping[str, Any]) -> Iterator[str]:
    seeds = tables["about"]["seeds"]
    yield f"| what it brings | paper | mean (range) | {' | '.join(f'seed {seed}' for seed in seeds)} |"
    yield "|---" * (3 + len(seeds)) + "|"
    published = {row.key: row.published[0] for row in ROWS}
    for key, first, second in DIFFERENCES:
        found, over = tables["differences"][key], tables["differences"][key]["over_seeds"]
        seen = [(one["difference"], one["low"], one["high"]) for one in found["seeds"].values()]
        cells = [f"{value:+.3f} ({low:+.3f} to {high:+.3f})" for value, low, high in seen]
        range_ = f"{over['mean']:+.3f} ({over['low']:+.3f} to {over['high']:+.3f})"
        yield f"| {WORDS[key]} | {published[second] - published[first]:+.3f} | {range_} | {' | '.join(cells)} |"


def _time_table(tables: Mapping[str, Any]) -> Iterator[str]:
    seeds = tables["about"]["seeds"]
    yield f"| step, seconds | {' | '.join(f'seed {seed}' for seed in seeds)} |"
    yield "|---" * (1 + len(seeds)) + "|"
    steps = list(dict.fromkeys(step for one in tables["seconds"].values() for step in one))
    for step in steps:
        yield f"| {step} | {' | '.join(str(tables['seconds'][str(seed)].get(step, '')) for seed in seeds)} |"


def _write_figures(place: Path, folder: Path) -> None:
    """Figures 1 to 3 of one seed, SVG and PNG each."""
    mammograms, volumes = (open_records(place / "prepared" / modality) for modality in (FFDM, DBT))
    plain, matched = (load_model(place / name).preprocessing for name in ("base/model.keras", "matched.keras"))
    assert plain is not None and matched is not None  # written here
    domains = [("FFDM", mammograms, plain), ("MIP", volumes, plain), ("MIP with HM", volumes, matched)]
    save_figure(samples_figure(domains), folder / "figure_1_samples", "Samples of each domain, findings outlined")
    names = {"FFDM": FFDM, "MIP": DBT}
    found = {name: DomainHistogram.load(place / f"histogram_{modality}.json") for name, modality in names.items()}
    cdfs = {name: np.array(one.cdf) for name, one in found.items()}
    save_figure(cdf_figure(cdfs), folder / "figure_2_cdfs", "Average cumulative histograms of the domains")
    rows = {"MIP": "mip_spottune", "MIP with HM": "matched_spottune"}
    policies = {title: read_policies(place / row / "policies.csv") for title, row in rows.items()}
    about = "Probability of fine-tuning each block over the test patches, with and without histogram matching"
    save_figure(policy_figure(policies), folder / "figure_3_policies", about)
