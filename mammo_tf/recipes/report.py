"""A run folder to its report, with example pictures and where the network looked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mammo_tf.data.cutting import as_cut, cut, cut_breast
from mammo_tf.data.graph_preprocessing import intensity
from mammo_tf.data.sampling import Cases, PlanMaker
from mammo_tf.errors import MammoError
from mammo_tf.fields import to_json
from mammo_tf.files import atomic_path, read_json, write_json
from mammo_tf.imaging.warp import affine
from mammo_tf.recipes.overlays import run_overlays, write_overlays
from mammo_tf.recipes.proof import NOBODY, UNKNOWN, Proof, read_proof
from mammo_tf.recipes.results import RunResult
from mammo_tf.recipes.run_folder import ENVIRONMENT, RUN, as_written, check_format
from mammo_tf.records import Records
from mammo_tf.reporting.comparisons import Comparison
from mammo_tf.reporting.examples import Example
from mammo_tf.reporting.report import Curve, Entry, Report, write_report
from mammo_tf.serving.scorer import RUN_MODEL
from mammo_tf.study import Finding, findings_from_json, findings_to_json
from mammo_tf.training import Classification, ModelCard
from mammo_tf.training.model_file import read_card

LISTED = "examples.json"


def report_run(folder: str | Path) -> Path:
    """Writes `report.html` of a run folder from the files that lie there, and returns its path.

    Raises:
        MammoError: `not_a_run` if the folder is not a finished run.
    """
    folder = Path(folder)
    if not (folder / "metrics.json").is_file():
        raise MammoError("not_a_run", f"{folder} holds no finished run", "Run mammo-tf run first")
    with as_written(folder / RUN.file):
        recipe = check_format(folder / RUN.file)["recipe"]
        title, lead = str(recipe["name"]), str(recipe["about"])
    entries = [Entry("this model", folder / "predictions_test.csv", folder / "metrics.json")]
    comparisons = []
    if (folder / "comparison.json").is_file():
        before = folder / "before"
        entries.insert(0, Entry("start model", before / "predictions_test.csv", before / "metrics.json"))
        comparisons = [Comparison("this model minus the start model", folder / "comparison.json")]
    curves = [Curve(title, folder / "log.csv")] if (folder / "log.csv").is_file() else []
    facts, proof = run_facts(folder), read_proof(folder)
    report = Report(
        title=title, lead=lead, entries=tuple(entries), comparisons=tuple(comparisons),
        curves=tuple(curves), examples=run_examples(folder), overlays=run_overlays(folder),
        facts=facts | proof_facts(proof), warnings=proof_warnings(proof), root=folder,
    )  # fmt: skip
    write_report(report, folder / "report.html")
    return folder / "report.html"


def finish_run(result: RunResult) -> Path:
    """Example pictures of a run that has just ended, then its report; returns the report's path."""
    masks = (result.card.task or Classification()).masks(result.records)
    if masks is not None:
        write_overlays(result.records, masks, result.predictions, result.folder)
    test = result.predictions[result.predictions["split"] == "test"]
    if result.card.tiling is None:
        write_examples(result.model, result.records, result.card, test, result.folder / "figures", result.scoring)
    return report_run(result.folder)


def run_examples(folder: Path) -> tuple[Example, ...]:
    """The example pictures of a run."""
    figures = folder / "figures"
    with as_written(figures / LISTED):
        return tuple(
            Example(
                picture=figures / item["picture"], heatmap=figures / item["heatmap"] if item["heatmap"] else None,
                title=str(item["title"]), score=float(item["score"]), findings=findings_from_json(item["findings"]),
            )
            for item in read_examples(figures)
        )  # fmt: skip


def run_facts(folder: Path) -> dict[str, str]:
    """What was run, where, and with what."""
    recipe = check_format(folder / RUN.file)
    with as_written(folder / RUN_MODEL):
        card = read_card(folder / RUN_MODEL) if (folder / RUN_MODEL).is_file() else ModelCard()
    with as_written(folder / ENVIRONMENT):
        found = read_json(folder / ENVIRONMENT)
        threads = found.get("threads")  # folders of earlier versions do not tell
        facts = {
            "command": found["command"],
            "revision": found["revision"] or "not a source tree",
            "versions": ", ".join(f"{name} {version}" for name, version in found["packages"].items()),
            "python": f"{found['python']} on {found['platform']}",
            "devices": ", ".join(found["devices"]),
        }
        if threads:
            facts["threads"] = f"{threads['intra_op']} in an operation, {threads['inter_op']} between"
    with as_written(folder / RUN.file):
        facts |= {"recipe": recipe["recipe"]["name"], "data": recipe["asked"]["data"][:12]}
    return facts | {
        **({"network": _words(card.network)} if card.network is not None else {}),
        **({"asked": _words(card.task)} if card.task is not None else {}),
        **({"model": card.identity[:12]} if card.identity else {}),
    }


def proof_facts(proof: Proof) -> dict[str, str]:
    """How often the test split was measured, and whom of it the start model had seen."""
    facts = {}
    if proof.measurements is not None:
        times = f"{proof.measurements} times" if proof.measurements > 1 else "once"
        facts["test"] = f"measured {times} by then, {proof.models} model{'s' if proof.models != 1 else ''}"
    if proof.start_patients:
        told = {NOBODY: "had seen no patient of validation and test", UNKNOWN: "whom it had seen is unknown"}
        facts["start model"] = told[proof.start_patients]
    return facts


def proof_warnings(proof: Proof) -> tuple[str, ...]:
    """What a reader must know before believing the numbers."""
    unknown = (
        "Whether the start model has seen patients of validation or test is unknown: it does not say whom it was "
        "trained on, or says so under another key."
    )
    return (
        *(f"{remark[:1].upper()}{remark[1:]}." for remark in proof.remarks),
        *((unknown,) if proof.start_patients == UNKNOWN else ()),
    )


def _words(description: Any) -> str:
    """A description as `end2end: backbone vgg16, top 512x1, ...`; one inside it in brackets."""

    def word(value: Any) -> str:
        if isinstance(value, list):
            return ", ".join(map(word, value))
        return f"({words(value)})" if isinstance(value, dict) else str(value)

    def words(told: dict[str, Any]) -> str:
        kind, *rest = (word(told[name]) if name == "kind" else f"{name} {word(told[name])}" for name in told)
        return f"{kind}: {', '.join(rest)}"

    return words(to_json(description))


class Piece(NamedTuple):
    """What of a picture was scored: its place in the records, the map from the piece to it, rows and columns."""

    position: int
    matrix: NDArray[np.float64]
    size: tuple[int, int]


def write_examples(
    model: keras.Model,
    records: Records,
    card: ModelCard,
    table: pd.DataFrame,
    folder: Path,
    sampling: PlanMaker,
    count: int = 6,
) -> None:
    """Writes pictures, maps and `examples.json` for the positives and negatives spread evenly over their scores.

    Args:
        model: a network; one that cannot say where it looked gives pictures without maps.
        records: where the pictures are.
        card: of the model: its preprocessing and its task are used.
        table: predictions of test, `image_id`, `label`, `score`.
        folder: of the run's figures.
        sampling: what of each picture was scored.
        count: how many, half of them positive.
    """
    shown = pd.concat([_spread(table[table["label"] == label], count // 2) for label in (1, 0)])
    place = {image: position for position, image in enumerate(records.rows["image_id"])}
    positions = np.array([place[image] for image in shown["image_id"]], np.int64)
    once, first = np.unique(positions, return_index=True)
    task = card.task or Classification()
    plan = sampling.scoring_plan(records, Cases(once, shown["label"].to_numpy(np.int64)[first], task.wanted))
    draws = plan.epoch(0)
    seeds = draws.columns.get("patch_seed", np.zeros(len(plan), np.int64))
    number_of = {pair: number for number, pair in enumerate(zip(draws.positions.tolist(), seeds.tolist(), strict=True))}
    pieces = []
    for position, (_, row) in zip(positions.tolist(), shown.iterrows(), strict=True):
        number = number_of[position, int(row.get("patch_seed", 0))]
        pieces.append(Piece(position, draws.matrices[number], plan.size))
    pictures = [cut(records, *piece) for piece in pieces]
    source, steps = as_cut(records, plan, card.preprocessing or records.preprocessing)
    seen = [cut(source, *piece) for piece in pieces]
    heat = _evidence(model, replace(card, preprocessing=steps), records, pieces, seen)
    rows = [
        _example(records, piece, picture, None if heat is None else heat[at], row, folder)
        for at, (piece, picture, (_, row)) in enumerate(zip(pieces, pictures, shown.iterrows(), strict=True))
    ]
    write_json(folder / LISTED, rows)


def _evidence(
    model: keras.Model, card: ModelCard, records: Records, pieces: list[Piece], pictures: list[NDArray[np.uint16]]
) -> NDArray[np.float32] | None:
    """Where the network looked, of all pictures at once: what it takes to ask it is built once."""
    if not pictures:
        return None
    steps, task = card.preprocessing or records.preprocessing, card.task or Classification()
    breasts = np.stack([cut_breast(records, *piece) for piece in pieces]) if steps.needs_breast else None
    return task.evidence(model, intensity(steps, np.stack(pictures) / np.float32(65535), breasts).numpy())


def _spread(part: pd.DataFrame, count: int) -> pd.DataFrame:
    """Rows spread evenly over their scores, the highest first."""
    part = part.sort_values("score", ascending=False, kind="stable")
    return part.iloc[np.unique(np.linspace(0, max(0, len(part) - 1), count).round().astype(int))[: len(part)]]


def _example(
    records: Records,
    piece: Piece,
    picture: NDArray[np.uint16],
    heat: NDArray[np.float32] | None,
    row: pd.Series[Any],
    folder: Path,
) -> dict[str, Any]:
    marks = records.marks(piece.position)
    name = f"example_{piece.position:05d}" + (f"_{row['patch_seed']}" if "patch_seed" in row else "")
    with atomic_path(folder / f"{name}.png") as beside:
        beside.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    if heat is not None:
        with atomic_path(folder / f"{name}.npy") as beside:
            np.save(beside, heat)
    found = []
    for finding, mask in zip(
        findings_from_json(str(marks.row.get("findings") or "")), marks.finding_masks, strict=True
    ):
        rows, columns = np.nonzero(affine(mask, piece.matrix, fill=0, size=piece.size))
        if rows.size:
            box = (float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
            found.append(Finding(finding.kind, finding.label, box=box))
    side = f"{row['laterality']} {row['view']}".strip()
    return {
        "picture": f"{name}.png",
        "heatmap": None if heat is None else f"{name}.npy",
        "score": float(row["score"]),
        "findings": findings_to_json(found),
        "title": f"{marks.row['label'] or 'no label'}, {side}",
    }


def read_examples(folder: Path) -> list[dict[str, Any]]:
    """What `write_examples` listed; nothing where there is nothing."""
    path = folder / LISTED
    return list(read_json(path)) if path.is_file() else []
