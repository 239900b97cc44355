"""`MODEL_CARD.md`: what a model is, what it was measured to do, and what it is not for, as a page; beside it the card
itself as `model_card.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mammo_tf.evaluation.titles import title_of
from mammo_tf.files import write_json, write_text
from mammo_tf.serving.parts import Made
from mammo_tf.serving.signatures import task_of
from mammo_tf.training import ModelCard, Segmentation

PAGE, CARD = "MODEL_CARD.md", "model_card.json"
NOT_STATED = (
    "Not stated by whoever exported it. Take it for research alone: it is not a medical device, and nothing here says "
    "that a diagnosis may rest on it."
)
COLUMNS = {
    "manufacturer": "Manufacturer", "model_name": "Machine", "software": "Software", "site": "Site",
    "modality": "Modality", "view": "View",
}  # fmt: skip
SPLIT = "test"
SHOWN = ("auc", "sensitivity", "specificity", "recall_rate", "calibration_slope", "dsc", "tpr", "precision", "hd95")
MOST_VALUES = 8
OUTPUTS = {
    "score": "how positive the picture is, 0 to 1",
    "probability": "the score calibrated on validation, at the share of positives there",
    "decision": "1 where the score reaches the operating point",
    "heatmap": "class activation, coarse",
    "mask": "probability of every pixel",
    "masks": "the same for every branch",
    "branch": "the branch whose statistics lie closest",
    "distance": "how far each branch's statistics lie",
    "domain_distance": "how far the picture lies from those of training",
    "abstain": "whether it lies farther than all but one in a hundred of validation: then the score should not be used",
}


@dataclass(frozen=True)
class ModelCardPage:
    """The part that writes both files.

    Attributes:
        metrics: `metrics.json` of the run; empty where there is no run.
        intended_use: in the words of whoever exports; empty for none.
    """

    metrics: Mapping[str, Any]
    intended_use: str = ""

    def __call__(self, made: Made) -> dict[str, Any]:
        """Writes them."""
        write_json(made.extra / CARD, made.card.to_json())
        write_text(made.extra / PAGE, "\n".join(self._lines(made)) + "\n")
        return {"page": PAGE, "card": CARD, "intended_use": self.intended_use}

    def _lines(self, made: Made) -> Iterator[str]:
        card = made.card
        yield f"# {made.name}"
        yield from ("", "## What it says", "", *_question(card), "", *_outputs(made.found["signatures"]))
        yield from ("", "## Intended use", "", self.intended_use or NOT_STATED)
        yield from ("", "## Limits", "", *(f"- {line}" for line in _limits(made)))
        yield from ("", "## Data that it was trained on", "", *_data(card))
        yield from ("", "## Measured", "", *_measured(self.metrics))
        yield from ("", "## Operating points", "", *_thresholds(card))
        yield from ("", "## Checked before it was written", "", *(f"- {line}" for line in _checks(made)))
        yield from ("", "## Identity", "", *_identity(made))


def _question(card: ModelCard) -> list[str]:
    task = task_of(card)
    if isinstance(task, Segmentation):
        return ["Where in a mammogram lesions are, pixel by pixel."]
    column, positives = getattr(task, "column", "label"), ", ".join(getattr(task, "positives", ()))
    pieces = "a patch of a mammogram" if card.patch is not None else "a mammogram (one view at a time)"
    return [f"Whether {pieces} is positive: `{column}` in {{{positives}}}."]


def _outputs(signatures: Mapping[str, Any]) -> list[str]:
    names = [name for signature in signatures.values() for name in signature["outputs"] if name in OUTPUTS]
    rows = [f"| `{name}` | {OUTPUTS[name]} |" for name in OUTPUTS if name in names]
    return ["| output | what it is |", "|---|---|", *rows]


def _limits(made: Made) -> Iterator[str]:
    domain = made.card.training_domain
    machines = domain.counts.get("manufacturer", {})
    if machines:
        yield f"Trained on pictures of {_listed(machines)}; on other machines it is unproven until measured there."
    else:
        yield "It does not say which machines it was trained on: everywhere it is unproven until measured."
    if domain.distance is not None:
        yield (
            f"`abstain` looks at grey values and contrast alone (limit {domain.distance.limit:.2f}, from "
            f"{domain.distance.validation} validation pictures). A picture may look familiar and be misread."
        )
    if made.card.calibration is not None:
        share = made.card.calibration.prevalence
        yield f"`probability` holds where {share:.1%} of pictures are positive, as on validation; elsewhere correct it."
    yield from (f"Numbers may be too good: {line}." for line in made.card.copies)
    if made.gap is None:
        yield "How far `serving_default` is from the full preparation was not measured."
    else:
        yield f"{made.gap.words[:1].upper()}{made.gap.words[1:]}."
    if made.card.flips:
        yield "The score is the mean over four mirrored pictures: four times the work."
    yield "A score is of one picture. How breast, exam and patient get theirs stands with the numbers below."


def _data(card: ModelCard) -> Iterator[str]:
    domain = card.training_domain
    trained = sum(len(one.train) for one in card.patients)
    validated = sum(len(one.validation) for one in card.patients)
    whom = f"{trained} patients of training and {validated} of validation"
    yield f"{domain.images} pictures of training. Over all models that it was made from: {whom}."
    told = {title: domain.counts[column] for column, title in COLUMNS.items() if domain.counts.get(column)}
    if told:
        yield from ("", "| | pictures |", "|---|---|")
        yield from (f"| {title} | {_listed(values)} |" for title, values in told.items())
    yield ""
    yield f"Terms of use: {'; '.join(card.terms)}." if card.terms else "Terms of use of the data: not told."


def _listed(values: Mapping[str, int]) -> str:
    ordered = sorted(values.items(), key=lambda item: -item[1])
    more = f" and {len(ordered) - MOST_VALUES} more" if len(ordered) > MOST_VALUES else ""
    return ", ".join(f"{value or 'not told'} ({count})" for value, count in ordered[:MOST_VALUES]) + more


def _measured(metrics: Mapping[str, Any]) -> Iterator[str]:
    levels = metrics.get(SPLIT, {})
    rows = [
        f"| {level} | {title_of(name)} | {_number(number)} | {number['n']} | {number['how']} |"
        for level, numbers in levels.items()
        for name, number in numbers.items()
        if name in SHOWN and number["value"] is not None and number["low"] is not None
    ]
    if not rows:
        yield "No run was exported with it, so no numbers are here. Measure it before it is used."
        return
    yield "On test patients of the run, 95 % intervals; all numbers are in `metrics.json`:"
    yield from ("", "| level | measure | value | n | how |", "|---|---|---|---|---|", *rows)


def _number(number: Mapping[str, Any]) -> str:
    return f"{number['value']:.3f} ({number['low']:.3f} to {number['high']:.3f})"


def _thresholds(card: ModelCard) -> list[str]:
    if not card.thresholds:
        return ["None: it gives scores, and no decision."]
    rows = [f"| {one.level} | {one.value:.6g} | {one.rule} | {one.signature} |" for one in card.thresholds]
    return ["| level | score from | how it was chosen | signature |", "|---|---|---|---|", *rows]


def _checks(made: Made) -> Iterator[str]:
    checks, onnx, warm_up = (made.found.get(name) for name in ("checks", "onnx", "warm_up"))
    if checks is None:
        yield "Nothing: this is a SavedModel and its card alone."
        return
    what = "made-up pictures" if checks["made_up"] else "validation pictures"
    low, high = checks["scores"]
    ways = ", ".join(f"{way} {apart:.1g}" for way, apart in checks["largest_difference"].items())
    yield f"Against Keras on {checks['pictures']} {what} with scores from {low:.3f} to {high:.3f}, apart: {ways}."
    times = ", ".join(f"{way} {took:g} ms" for way, took in checks["milliseconds"].items())
    yield f"An answer to one prepared picture on {checks['cores']} cores of the machine that exported it: {times}."
    if onnx is not None:
        yield f"`{onnx['file']}`: opset {onnx['opset']}, {onnx['made_by']}."
    if warm_up is not None:
        yield f"{warm_up['requests']} warm-up requests were replayed."


def _identity(made: Made) -> Sequence[str]:
    card, versions = made.card, made.found["versions"]
    facts = {
        "recipe": card.recipe, "made from": card.origin, "identity": card.identity, "weights": card.weights,
        "architecture": card.architecture, "records": card.records, "revision": made.found["revision"],
        **versions,
    }  # fmt: skip
    return ["| | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in facts.items() if value)]
