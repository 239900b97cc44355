"""Every pixel, two answers: does it belong to a finding?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import cv2
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data import Draws, WholeImages, inference_stream
from mammo_tf.data.streams import Masks
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, make_predictions
from mammo_tf.evaluation.froc import checked_probability
from mammo_tf.evaluation.numbers import Levels
from mammo_tf.evaluation.overlap import overlap
from mammo_tf.evaluation.segmentations import COLUMNS, segmentation_metrics, segmentation_row
from mammo_tf.files import atomic_path
from mammo_tf.imaging.warp import affine, invert
from mammo_tf.models import flip_averaged
from mammo_tf.records import PreparedImage, Records
from mammo_tf.records.example import Marks
from mammo_tf.records.prepare_image import finding_mask, reduced
from mammo_tf.study import UNLABELLED, Finding, findings_from_json
from mammo_tf.training.losses import OF_THE_BATCH, PIXEL_LOSSES, PixelLoss, positive_probability
from mammo_tf.training.metrics import RunningDice
from mammo_tf.training.predict import predicted_batches
from mammo_tf.training.tasks.classification import shape_words
from mammo_tf.training.tasks.task import TASKS, Compiled, Scoring

SICK = ("malignant", "high_risk")  # labels of a picture in which something was found, somewhere
MASKS = "masks"
AS_STORED = np.eye(2, 3)  # the map from a stored picture to itself


@TASKS.register
@dataclass(frozen=True)
class Segmentation:
    """Findings against everything else, pixel by pixel, through one positive probability (sigmoid or softmax of two).

    A picture is unlabelled if a finding that is looked for is listed without a place and none with one, or if it is
    malignant, high risk or without a label, and no finding with a place is listed.

    Attributes:
        findings: which are looked for, by label (`malignant`), kind (`calcification`), or both (`mass/benign`); empty
            for all.
        loss: "dice", "cross_entropy", or another of `training.losses.PIXEL_LOSSES`.
        threshold: a pixel belongs to a finding from this probability on.
    """

    kind: ClassVar[str] = "segmentation"
    monitors: ClassVar[Mapping[str, str]] = {"val_loss": "loss", "val_dice": "Dice"}
    balances: ClassVar[tuple[str, ...]] = ("none", "balanced_sampling")
    findings: tuple[str, ...] = ()
    loss: str = "dice"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.loss not in PIXEL_LOSSES:
            raise MammoError("recipe_wrong", f"task.loss is one of {', '.join(PIXEL_LOSSES)}, not {self.loss!r}")
        if not 0 < self.threshold < 1:
            raise MammoError("recipe_wrong", f"task.threshold lies between 0 and 1, not at {self.threshold:g}")

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
        if len(records) and records.image(0).stored_size == (0, 0):
            sentence = f"{records.folder} was prepared by version 0.1 and does not tell the size of stored pictures"
            raise MammoError("records_older", sentence, "Prepare the images again, into a new folder")

        def mask(position: int) -> NDArray[np.bool_]:
            return self.mask_of(records.image(position))

        return mask

    def mask_of(self, image: PreparedImage) -> NDArray[np.bool_]:
        """The union of the wanted findings of one prepared image, bool `[rows, columns]`."""
        listed = findings_from_json(str(image.row.get("findings") or ""))
        chosen = [mask for finding, mask in zip(listed, image.finding_masks, strict=True) if self.wanted(finding)]
        return np.any(chosen, axis=0) if chosen else np.zeros(image.picture.shape, np.bool_)

    def check_network(self, model: keras.Model, what: str, classes: int | None = None) -> None:
        """One picture in, one or two probabilities for each of its pixels out.

        Raises:
            MammoError: `outputs_wrong`.
        """
        taken, given = (
            [tuple(tensor.shape[1:]) for tensor in getattr(model, ends, None) or []] for ends in ("inputs", "outputs")
        )
        fits = len(taken) == len(given) == 1 and len(taken[0]) == len(given[0]) == 3
        if not fits or given[0][:2] != taken[0][:2] or given[0][2] not in (1, 2):
            raise MammoError(
                "outputs_wrong",
                f"{what} takes {shape_words(taken)} and gives {shape_words(given)}; a network for segmentation takes "
                "one picture and gives one probability (sigmoid) or two (softmax) for each of its pixels",
            )

    def pair(self, batch: Mapping[str, Any], model: keras.Model, balanced: bool) -> tuple[Any, Any, Any]:
        """Pictures, masks `[batch, rows, columns]`, weights."""
        return batch["image"], batch["mask"], batch["weight"]

    def compiled(self, model: keras.Model) -> Compiled:
        """The loss, and a running Dice."""
        return Compiled(PixelLoss(self.loss), [RunningDice(self.threshold)])

    def validate(self, model: keras.Model, stream: tf.data.Dataset, draws: Draws) -> dict[str, float]:
        """`val_loss` as if all validation pictures were one batch, plus the regularisation, and `val_dice`.

        `val_dice` is the mean over pictures of the Dice at the threshold; pictures in which neither truth nor network
        has a finding do not count. It is left out where no picture counts.
        """
        sums, losses, each = np.zeros(4), [], []  # sums of p y, p, y, pixels
        for batch, outputs in predicted_batches(model, stream):
            probability = np.asarray(positive_probability(outputs), np.float64)
            truth = batch["mask"].astype(np.float64)
            sums += [float(part.sum()) for part in (probability * truth, probability, truth, np.ones_like(truth))]
            if self.loss not in OF_THE_BATCH:
                found = PIXEL_LOSSES[self.loss](batch["mask"], probability.astype(np.float32))
                losses += keras.ops.convert_to_numpy(found).astype(np.float64).tolist()
            called = zip(probability >= self.threshold, truth > 0, strict=True)
            each += [overlap(found, mask)["dsc"] for found, mask in called]
        both, given, true, pixels = sums
        negative = _share(pixels - given - true + both, 2 * pixels - given - true)
        loss = float(np.mean(losses)) if losses else -(_share(both, given + true) + negative)
        values = {"val_loss": loss + float(sum(float(one) for one in model.losses))}
        counted = [value for value in each if np.isfinite(value)]
        return values | ({"val_dice": float(np.mean(counted))} if counted else {})

    def serving_network(self, model: keras.Model) -> keras.Model:
        """The network as it is."""
        return keras.Model(model.inputs[0], model.outputs, name=model.name)

    def named_outputs(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """`mask`: the positive probability of every pixel; `score`: its maximum over the picture."""
        probability = tf.cast(positive_probability(outputs[0]), tf.float32)
        return {"score": tf.reduce_max(probability, axis=[1, 2]), "mask": probability}

    def evidence(self, model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        """The positive probability of every pixel."""
        return np.asarray(positive_probability(model.predict(pictures, verbose=0)), np.float32)

    def results(
        self, model: keras.Model, records: Records, positions: NDArray[np.int64], scoring: Scoring, folder: Path | None
    ) -> pd.DataFrame:
        """Predictions, with `evaluation.segmentations.COLUMNS` behind, measured in the geometry of the stored picture.

        Masks go to `masks/<image_id>.png`: what is measured is what they hold.
        """
        rows = records.rows.iloc[positions]
        plan = WholeImages(positions, self.truth(rows), records.size)
        scorer = flip_averaged(model) if scoring.flips else model
        stream = inference_stream(
            records, plan, scoring.batch_size, scoring.preprocessing, scoring.padded, self.masks(records)
        )
        scores, measured = [], []
        for batch, outputs in predicted_batches(scorer, stream):
            probability = np.asarray(positive_probability(outputs), np.float32)
            for position, values in zip(batch["position"], probability, strict=True):
                image = records.marks(int(position))
                name = (image.row["image_id"], image.row["frame"] or "")
                checked_probability(values, f"the mask of {name[0]}")
                found = stored_mask(values >= self.threshold, image.affine, image.stored_size)
                spacing = [image.row.get(f"spacing_{axis}_mm") for axis in ("row", "column")]
                scores.append(float(values.max()))
                measured.append(segmentation_row(found, self.stored_truth(image), known_spacing(spacing)))
                if folder is not None:
                    write_stored_mask(mask_path(folder / MASKS, *name), found)
        table = make_predictions(rows, plan.labels, scores)
        return table.assign(**{name: [one[name] for one in measured] for name in COLUMNS})

    def stored_truth(self, image: PreparedImage | Marks) -> NDArray[np.bool_]:
        """The union of the wanted findings in the geometry of the stored picture, bool `[rows, columns]`.

        Boxes, circles and contours are drawn there as the manifest has them; a mask picture is taken from the records,
        at their resolution.
        """
        union = np.zeros(image.stored_size, np.bool_)
        listed = findings_from_json(str(image.row.get("findings") or ""))
        for finding, mask in zip(listed, image.finding_masks, strict=True):
            if self.wanted(finding) and finding.mask is not None:
                union |= reduced(mask, image.stored_size, invert(image.affine))
            elif self.wanted(finding):
                union |= finding_mask(finding, image.stored_size, AS_STORED, Path(), image.stored_size)
        return union

    def measure(self, table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
        """Means of the columns, see `evaluation.segmentations`."""
        return segmentation_metrics(table, resampling)


def mask_path(folder: Path, image_id: str, frame: str = "") -> Path:
    """Where the mask of an image goes, or of a frame of it (`<image>_frame<number>.png`).

    Characters that a file name cannot hold are written as `%2F` and the like.
    """
    return folder / f"{quote(image_id, safe=' ')}{f'_frame{frame}' if frame else ''}.png"


def write_mask(
    path: Path, mask: NDArray[np.bool_], to_stored: NDArray[np.float64], stored_size: tuple[int, int]
) -> None:
    """Writes a mask of a prepared picture as a PNG of 0 and 255 in the geometry of the stored one.

    Args:
        path: of the PNG.
        mask, to_stored, stored_size: as `stored_mask`.
    """
    write_stored_mask(path, stored_mask(mask, to_stored, stored_size))


def stored_mask(
    mask: NDArray[np.bool_], to_stored: NDArray[np.float64], stored_size: tuple[int, int]
) -> NDArray[np.bool_]:
    """A mask of a prepared picture in the geometry of the stored one, to the nearest pixel; bool `stored_size`.

    Args:
        mask: bool `[rows, columns]` of the prepared picture.
        to_stored: `[2, 3]`, maps prepared (x, y, 1) to stored (x, y).
        stored_size: rows and columns of the stored picture.
    """
    return np.asarray(affine(mask, invert(to_stored), fill=0, size=stored_size), np.bool_)


def write_stored_mask(path: Path, mask: NDArray[np.bool_]) -> None:
    """Writes a mask as a PNG of 0 and 255."""
    with atomic_path(path) as beside:
        beside.write_bytes(cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes())


def known_spacing(spacing: Sequence[Any]) -> tuple[float, ...]:
    """mm between rows and between columns of a manifest row; nan for what it does not tell."""
    return tuple(float("nan") if step in (None, "") else float(step) for step in spacing)


def _share(part: float, whole: float) -> float:
    return part / whole if whole > 0 else 0.0
