"""Every pixel, two answers: does it belong to a finding?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data import Draws, inference_stream
from mammo_tf.data.domains import BRANCH
from mammo_tf.data.sampling import Cases
from mammo_tf.data.streams import Masks
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, make_predictions
from mammo_tf.evaluation.clusters import ANY_OVERLAP, HitRule
from mammo_tf.evaluation.froc import checked_probability, count_clusters, froc_row
from mammo_tf.evaluation.numbers import Levels
from mammo_tf.evaluation.overlap import overlap
from mammo_tf.evaluation.segmentations import HIT_RULE, segmentation_metrics, segmentation_row
from mammo_tf.models import flip_averaged, rebuild
from mammo_tf.models.answers import ANSWERS, LARGER, LAST, answering, share_of_larger
from mammo_tf.models.branch_network import BRANCH_METRICS, DUAL, asking_every_branch
from mammo_tf.models.drifting import drifting
from mammo_tf.models.networks import branches_of, output_weights_of
from mammo_tf.records import PreparedImage, Records
from mammo_tf.records.example import Marks
from mammo_tf.study import UNLABELLED, Finding, findings_from_json
from mammo_tf.training.losses import (
    PIXEL_LOSSES,
    PixelLoss,
    positive_probability,
    with_branch,
)
from mammo_tf.training.metrics import RunningDice
from mammo_tf.training.predict import predicted_batches
from mammo_tf.training.tasks.classification import shape_words
from mammo_tf.training.tasks.map_sums import MapSums
from mammo_tf.training.tasks.pieces import CHOICES, Pieces, Whole
from mammo_tf.training.tasks.stored_masks import (
    MASKS,
    as_stored,
    known_spacing,
    mask_path,
    stored_union,
    write_stored_mask,
)
from mammo_tf.training.tasks.task import TASKS, Compiled, Scoring

SICK = ("malignant", "high_risk")  # labels of a picture in which something was found, somewhere
RECENT = 256  # masks that are kept, a bit a pixel: the tiles of a picture come one behind the other
SPECK = "speck"  # the kind of a finding that is one calcification


@TASKS.register
@dataclass(frozen=True)
class Segmentation:
    """Findings against everything else, pixel by pixel, through one positive probability.

    The network ends in a sigmoid, a softmax of two, or a sigmoid for each of two.

    A picture is unlabelled if a finding that is looked for is listed without a place and none with one, or if it is
    malignant, high risk or without a label, and no finding with a place is listed.

    Attributes:
        findings: which are looked for, by label (`malignant`), kind (`calcification`), or both (`mass/benign`); empty
            for all.
        loss: "dice", "cross_entropy", or another of `training.losses.PIXEL_LOSSES`.
        threshold: a pixel belongs to a finding from this probability on.
        metric: how far a picture is from the domain of a branch, of a network that has several; one of
            `models.branch_network.BRANCH_METRICS`.
        choice: what chooses one branch: the "picture", or each "piece" (tile) for itself.
        hit: which clusters of findings count as found.
        answer: the positive probability: "last", the map of the finding; or "larger", its share of both maps, one half
            or more where it is the larger one, for a network of a sigmoid each; see `models.answers`. What is
            measured, watched and served is this answer; the loss is of the maps.
        drift: pictures are measured in batches whose statistics enter those of the network, which are never restored;
            see `models.drifting`. Each measured split begins with the trained ones. For metric "dual_normalization"; a
            bundle cannot do it.
    """

    kind: ClassVar[str] = "segmentation"
    monitors: ClassVar[Mapping[str, str]] = {"val_loss": "loss", "val_dice": "Dice"}
    balances: ClassVar[tuple[str, ...]] = ("none", "balanced_sampling")
    findings: tuple[str, ...] = ()
    loss: str = "dice"
    threshold: float = 0.5
    metric: str = "cosine"
    choice: str = "picture"
    hit: HitRule = ANY_OVERLAP
    answer: str = LAST
    drift: bool = False

    def __post_init__(self) -> None:
        if self.loss not in PIXEL_LOSSES:
            raise MammoError("recipe_wrong", f"task.loss is one of {', '.join(PIXEL_LOSSES)}, not {self.loss!r}")
        if not 0 < self.threshold < 1:
            raise MammoError("recipe_wrong", f"task.threshold lies between 0 and 1, not at {self.threshold:g}")
        if self.metric not in BRANCH_METRICS:
            raise MammoError("recipe_wrong", f"task.metric is one of {', '.join(BRANCH_METRICS)}, not {self.metric!r}")
        if self.choice not in CHOICES:
            raise MammoError("recipe_wrong", f"task.choice is one of {', '.join(CHOICES)}, not {self.choice!r}")
        if self.answer not in ANSWERS:
            raise MammoError("recipe_wrong", f"task.answer is one of {', '.join(ANSWERS)}, not {self.answer!r}")
        if self.drift and self.metric != DUAL:
            raise MammoError("recipe_wrong", f"task.drift goes with task.metric {DUAL}, not with {self.metric!r}")

    def wanted(self, finding: Finding) -> bool:
        """Whether a finding is looked for."""
        names = (finding.label, finding.kind, f"{finding.kind}/{finding.label}")
        return not self.findings or any(name in self.findings for name in names)

    def truth(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """1 where a wanted finding has a place, else 0 or `UNLABELLED`; int64 `[rows]`."""
        found = []
        for text, label in zip(rows["findings"], rows["label"], strict=True):
            listed = findings_from_json(str(text or ""))
            placed = [one for one in listed if one.bounds() or one.mask]
            known = any(map(self.wanted, placed))
            unplaced = any(map(self.wanted, listed)) or (not placed and label in ("", *SICK))
            found.append(1 if known else UNLABELLED if unplaced else 0)
        return np.array(found, np.int64)

    def check_rows(self, rows: pd.DataFrame, splits: Sequence[str]) -> None:
        """A wanted finding in every split.

        Raises:
            MammoError: `split_empty`, `no_findings`.
        """
        for split in splits:
            part = self.truth(rows[rows["split"] == split])
            if not len(part):
                raise MammoError("split_empty", f"no image is in split {split}", "Run mammo-tf split")
            if not (part == 1).any():
                which = f" ({', '.join(self.findings)})" if self.findings else ""
                sentence = f"split {split} has {len(part)} images and no finding with a place{which}"
                raise MammoError("no_findings", sentence, "Fill the column findings, or change task.findings")

    def masks(self, records: Records) -> Masks:
        """Place in the records to the union of its wanted findings, bool `[rows, columns]`.

        Raises:
            MammoError: `records_older` for records of version 0.1, which do not tell the size of stored pictures.
        """
        if len(records) and records.marks(0).stored_size == (0, 0):
            sentence = f"{records.folder} was prepared by version 0.1 and does not tell the size of stored pictures"
            raise MammoError("records_older", sentence, "Prepare the images again, into a new folder")

        @lru_cache(RECENT)
        def packed(position: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
            mask = self.mask_of(records.marks(position))
            return np.packbits(mask), (mask.shape[0], mask.shape[1])

        def mask(position: int) -> NDArray[np.bool_]:
            bits, (rows, columns) = packed(position)
            return np.unpackbits(bits, count=rows * columns).reshape(rows, columns).astype(np.bool_)

        return mask

    def mask_of(self, image: Marks) -> NDArray[np.bool_]:
        """The union of the wanted findings of one prepared image, bool `[rows, columns]`."""
        return np.any(image.placed(self.wanted), axis=0)

    def check_network(self, model: keras.Model, what: str, classes: int | None = None) -> None:
        """One picture in, with its branch where the network has several; one or two probabilities a pixel out.

        A network that is supervised at several depths gives one probability a pixel for each of them, the answer last.

        Raises:
            MammoError: `outputs_wrong`.
        """
        taken, given = (
            [tuple(tensor.shape[1:]) for tensor in getattr(model, ends, None) or []] for ends in ("inputs", "outputs")
        )
        depths = len(output_weights_of(model))
        fits = len(taken) == 1 + (branches_of(model) > 1) and len(given) == 1 and len(taken[0]) == len(given[0]) == 3
        if not fits or given[0][:2] != taken[0][:2] or given[0][2] not in ((1, 2) if depths == 1 else (depths,)):
            raise MammoError(
                "outputs_wrong",
                f"{what} takes {shape_words(taken)} and gives {shape_words(given)}; a network for segmentation takes "
                "one picture and gives one probability (sigmoid) or two (softmax) for each of its pixels",
            )
        if self.answer == LARGER and (depths > 1 or given[0][2] != 2):
            sentence = f"{what} gives {shape_words(given)}, and task.answer {LARGER} compares two maps of every pixel"
            raise MammoError("outputs_wrong", sentence, "Take a network of classes=2, or task.answer last")

    def pair(self, batch: Mapping[str, Any], model: keras.Model, balanced: bool) -> tuple[Any, Any, Any]:
        """Pictures, masks `[batch, rows, columns]`, weights; of a network with branches the branch goes with both.

        Raises:
            MammoError: `branch_missing` where pictures are drawn without one.
        """
        if branches_of(model) == 1:
            return batch["image"], batch["mask"], batch["weight"]
        if BRANCH not in batch:
            raise MammoError(
                "branch_missing", f"the network has {branches_of(model)} branches, and pictures are drawn without one",
                "Draw them by data.DomainSampling, or take a network of one branch",
            )  # fmt: skip
        return (batch["image"], batch[BRANCH]), with_branch(batch["mask"], batch[BRANCH]), batch["weight"]

    def compiled(self, model: keras.Model) -> Compiled:
        """The loss, and a running Dice."""
        loss = PixelLoss(self.loss, branches_of(model), output_weights=output_weights_of(model))
        return Compiled(loss, [RunningDice(self.threshold, answer=self.answer)])

    def validate(self, model: keras.Model, stream: tf.data.Dataset, draws: Draws) -> dict[str, float]:
        """`val_loss` as if all validation pictures were one batch, plus the regularisation, and `val_dice`.

        `val_dice` is the mean over pictures of the Dice at the threshold; pictures in which neither truth nor network
        has a finding do not count. It is left out where no picture counts. Of a network with branches every picture
        is taken through the branch that it was drawn for.
        """
        sums, each = MapSums(self.loss, output_weights_of(model), branches_of(model)), []
        for batch, outputs in predicted_batches(model, stream):
            sums.add(batch["mask"], outputs, batch.get(BRANCH))
            called = zip(self._answered(outputs) >= self.threshold, batch["mask"] > 0, strict=True)
            each += [overlap(found, true)["dsc"] for found, true in called]
        values = {"val_loss": sums.loss() + float(sum(float(one) for one in model.losses))}
        counted = [value for value in each if np.isfinite(value)]
        return values | ({"val_dice": float(np.mean(counted))} if counted else {})

    def _answered(self, outputs: Any) -> NDArray[np.float64]:
        """The positive probability `[batch, rows, columns]`."""
        given = share_of_larger(outputs) if self.answer == LARGER else positive_probability(outputs)
        return np.asarray(given, np.float64)

    def serving_network(self, model: keras.Model) -> keras.Model:
        """The network with its answer; one with branches as it asks all of them, see `models.asking_every_branch`.

        Raises:
            MammoError: `drift_unserved`, and what `models.asking_every_branch` raises.
        """
        if self.drift:
            sentence = "statistics that drift hang on all pictures before, and what is served remembers none"
            raise MammoError("drift_unserved", sentence, "Export it with task.drift at false")
        return self._asked(model)

    def _asked(self, model: keras.Model) -> keras.Model:
        """As `serving_network`, by the trained statistics."""
        model = answering(model, self.answer)
        if branches_of(model) > 1:
            return asking_every_branch(model, self.metric)
        return keras.Model(model.inputs[0], model.outputs, name=model.name)

    def _measured(self, model: keras.Model, scoring: Scoring) -> keras.Model:
        """What pictures are measured by: as `serving_network`, or by statistics that drift."""
        if self.drift and scoring.padded:
            sentence = "statistics that drift are asked for on several devices, and each would drift by itself"
            raise MammoError("drift_impossible", sentence, "Measure on one device, or set task.drift to false")
        if self.drift:
            return drifting(answering(rebuild(model), self.answer))
        return self._asked(flip_averaged(model) if scoring.flips else model)

    def named_outputs(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """`mask`: the positive probability of every pixel; `score`: its maximum over the picture.

        Of a network with branches also `masks` `[batch, branches, rows, columns]`, `distance` `[batch, branches]`, and
        `branch`, the closest, whose mask is `mask`; with the metric "none" none of these.
        """
        if len(outputs) == 1:
            probability = tf.cast(positive_probability(outputs[0]), tf.float32)
            return {"score": tf.reduce_max(probability, axis=[1, 2]), "mask": probability}
        masks, distance = tf.cast(outputs[0], tf.float32), outputs[1]
        branch = tf.argmin(distance, axis=1, output_type=tf.int32)
        probability = tf.gather(masks, branch, axis=1, batch_dims=1)
        score = tf.reduce_max(probability, axis=[1, 2])
        return {"score": score, "mask": probability, "masks": masks, "branch": branch, "distance": distance}

    def evidence(self, model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The positive probability of every pixel; of a task that drifts, by the trained statistics."""
        outputs = self._asked(model).predict(pictures, verbose=0)
        return np.asarray(self.named_outputs(outputs if isinstance(outputs, list) else [outputs])["mask"])

    def results(
        self, model: keras.Model, records: Records, positions: NDArray[np.int64], scoring: Scoring, folder: Path | None
    ) -> pd.DataFrame:
        """Predictions, with the columns of `evaluation.segmentations` and then of `evaluation.froc` behind.

        All is measured in the geometry of the stored picture: the probability goes there once, to the nearest pixel,
        so that what is counted at a threshold is what a mask of that threshold holds. Masks go to
        `masks/<image_id>.png`: what is measured is what they hold. Tiles are put together first. A network with
        branches has the columns `distance_<branch>`, and `branch` where one was chosen for the picture.

        Raises:
            MammoError: `flips_unsafe` where the mean over flips is asked of a network with branches.
        """
        rows = records.rows.iloc[positions]
        labels = self.truth(rows)
        found: dict[int, tuple[dict[str, float], float]] = {}
        for position, whole in self._wholes(model, records, Cases(positions, labels, self.wanted), scoring):
            image = records.marks(position)
            name = (image.row["image_id"], image.row["frame"] or "")
            checked_probability(whole.probability, f"the mask of {name[0]}")
            probability = as_stored(whole.probability, image.affine, image.stored_size)
            called, truth = probability >= self.threshold, self.stored_truth(image)
            spacing = known_spacing([image.row.get(f"spacing_{axis}_mm") for axis in ("row", "column")])
            measured = segmentation_row(called, truth, spacing, stored_union(image, _is_speck), self.hit)
            curve = froc_row(count_clusters(probability, truth, spacing=spacing, rule=self.hit))
            found[position] = (measured | curve | whole.columns, float(whole.probability.max()))
            if folder is not None:
                write_stored_mask(mask_path(folder / MASKS, *name), called)
        table = make_predictions(rows, labels, [found[position][1] for position in positions.tolist()])
        columns = pd.DataFrame([found[position][0] for position in positions.tolist()], index=table.index)
        if self.hit != ANY_OVERLAP:
            columns[HIT_RULE] = self.hit.text
        return table.join(columns.astype({BRANCH: np.int64}) if BRANCH in columns else columns)

    def _wholes(
        self, model: keras.Model, records: Records, cases: Cases, scoring: Scoring
    ) -> Iterator[tuple[int, Whole]]:
        """Every picture's place in the records, and what is said of all its pieces."""
        if scoring.flips and branches_of(model) > 1:
            raise MammoError(
                "flips_unsafe", "the mean over flips is asked of a network that chooses a branch for each picture",
                "Set evaluation.flips to False",
            )  # fmt: skip
        network = self._measured(model, scoring)
        plan = scoring.sampling.scoring_plan(records, cases)
        draws, number = plan.epoch(0), 0
        stream = inference_stream(records, plan, scoring.batch_size, scoring.preprocessing, scoring.padded)
        at, pieces = -1, Pieces(records.size, self.choice)
        for batch, outputs in predicted_batches(network, stream):
            named = self.named_outputs(outputs if isinstance(outputs, list) else [outputs])
            arrays = {name: np.asarray(values) for name, values in named.items()}
            for one, position in enumerate(batch["position"].tolist()):
                if position != at:
                    if at >= 0:
                        yield at, pieces.whole()
                    at, pieces = position, Pieces(records.size, self.choice)
                pieces.add(draws.matrices[number], {name: values[one] for name, values in arrays.items()})
                number += 1
        if at >= 0:
            yield at, pieces.whole()

    def stored_truth(self, image: PreparedImage | Marks) -> NDArray[np.bool_]:
        """The union of the wanted findings, see `stored_union`."""
        return stored_union(image, self.wanted)

    def measure(self, table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
        """Means of the columns, see `evaluation.segmentations`."""
        return segmentation_metrics(table, resampling)


def _is_speck(finding: Finding) -> bool:
    return finding.kind == SPECK
