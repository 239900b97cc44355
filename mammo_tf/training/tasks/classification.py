"""One picture, two answers: is it positive? And patches of several classes, of which class 0 is the negative one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data import BALANCES, Draws
from mammo_tf.data.sampling import Cases
from mammo_tf.data.streams import Masks
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import Resampling, make_predictions
from mammo_tf.evaluation.numbers import Levels
from mammo_tf.evaluation.roc import auc
from mammo_tf.models import activation_map_model, activation_maps, flip_averaged
from mammo_tf.records import Records
from mammo_tf.study import Finding, check_classes, truth
from mammo_tf.training.gradient_maps import LEAST_POINTS, gradient_maps
from mammo_tf.training.metrics import PositiveAUC
from mammo_tf.training.predict import predict_probabilities
from mammo_tf.training.tasks.task import TASKS, Compiled, Scoring

SMALLEST = 1e-7


@TASKS.register
@dataclass(frozen=True)
class Classification:
    """Two-class classification of whole pictures by any column of the manifest.

    Attributes:
        column: where the truth stands: `label`, `density`, or a column of the user's own; a row where it is empty is
            unlabelled.
        positives: values of the column that count as positive.
    """

    kind: ClassVar[str] = "classification"
    monitors: ClassVar[Mapping[str, str]] = {"val_loss": "loss", "val_auc": "AUC", "val_f1": "F1"}
    balances: ClassVar[tuple[str, ...]] = BALANCES
    column: str = "label"
    positives: tuple[str, ...] = ("malignant", "high_risk")

    def __post_init__(self) -> None:
        if not self.positives:
            raise MammoError("recipe_wrong", "task.positives names no value that counts as positive")
        truth(pd.DataFrame({self.column: []}, dtype="str"), self.positives, self.column)

    def truth(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """See `Task`; errors as `study.truth`."""
        return np.asarray(truth(rows, self.positives, self.column))

    def wanted(self, finding: Finding) -> bool:
        """Whether a finding may be what makes a picture positive: any, or by the label one that is positive itself."""
        return self.column != "label" or finding.label in ("", *self.positives)

    def check_rows(self, rows: pd.DataFrame, splits: Sequence[str]) -> None:
        """Both classes in every split; errors as `study.check_classes`."""
        check_classes(rows, self.positives, splits, self.column)

    def masks(self, records: Records) -> Masks | None:
        """None."""
        return None

    def check_network(self, model: keras.Model, what: str, classes: int | None = None) -> None:
        """One picture in, two probabilities out, or one for each of the `classes` of a plan.

        Raises:
            MammoError: `outputs_wrong`.
        """
        taken, given = (
            [tuple(tensor.shape[1:]) for tensor in getattr(model, ends, None) or []] for ends in ("inputs", "outputs")
        )
        if classes is not None and ([len(shape) for shape in taken] != [3] or given != [(classes,)]):
            sentence = (
                f"{what} takes {shape_words(taken)} and gives {shape_words(given)}; its plan has {classes} classes"
            )
            raise MammoError("outputs_wrong", sentence, "Give the network as many outputs as the plan has classes")
        if classes is None and ([len(shape) for shape in taken] != [3] or given != [(2,)]):
            raise MammoError(
                "outputs_wrong",
                f"{what} takes {shape_words(taken)} and gives {shape_words(given)}; a classifier of whole images "
                "takes one picture (rows x columns x channels) and gives two probabilities",
            )

    def pair(self, batch: Mapping[str, Any], model: keras.Model, balanced: bool) -> tuple[Any, Any, Any]:
        """Pictures, one-hot classes `[batch, classes]`, weights."""
        one_hot = tf.one_hot(batch["label"], model.output.shape[-1])
        return batch["image"], one_hot, class_weights(one_hot) if balanced else batch["weight"]

    def compiled(self, model: keras.Model) -> Compiled:
        """Cross entropy; the running AUC of two classes, the accuracy of more."""
        metrics = [PositiveAUC(name="auc")] if model.output.shape[-1] == 2 else ["accuracy"]
        return Compiled(keras.losses.CategoricalCrossentropy(), metrics)

    def validate(self, model: keras.Model, stream: tf.data.Dataset, draws: Draws) -> dict[str, float]:
        """`val_loss` (mean cross entropy plus the regularisation, as Keras has it), `val_accuracy`, AUC and F1.

        The AUC is exact: of class 0 against the rest. F1 is that of the rest, where the likeliest class is called. Both
        are left out if validation holds one class only.
        """
        labels = draws.columns["label"]
        given = np.asarray(model.predict(stream.map(_image), verbose=0), np.float64)[: len(labels)]
        chosen = np.clip(given[np.arange(len(given)), labels], SMALLEST, 1 - SMALLEST)
        penalty = float(sum(float(loss) for loss in model.losses))
        values = {
            "val_loss": float(np.mean(-np.log(chosen))) + penalty,
            "val_accuracy": float(np.mean(given.argmax(axis=1) == labels)),
        }
        positive = (labels > 0).astype(np.int64)
        if 0 < positive.sum() < len(positive):
            values["val_auc"] = auc(positive, 1.0 - given[:, 0])
            called = (given.argmax(axis=1) > 0).astype(np.int64)
            values["val_f1"] = float(2 * np.sum(positive * called) / (positive.sum() + called.sum()))
        return values

    def serving_network(self, model: keras.Model) -> keras.Model:
        """The classifier with its class activation map `[batch, map rows, map columns, 1]` behind, if it has one."""
        try:
            maps = activation_map_model(model)
        except MammoError:
            return keras.Model(model.inputs[0], model.outputs, name=model.name)
        return keras.Model(model.inputs[0], [*model.outputs, *maps.outputs], name=model.name)

    def named_outputs(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """`score`: column 1 of the softmax; `heatmap`: class activation, where there is one."""
        probabilities, *maps = outputs
        named = {"score": tf.cast(probabilities[:, 1], tf.float32)}
        return named | ({"heatmap": tf.cast(maps[0][..., 0], tf.float32)} if maps else {})

    def evidence(self, model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Class activation maps; Grad-CAM for a network without, or with one too coarse to point (`LEAST_POINTS`)."""
        try:
            points = min(activation_map_model(model).compute_output_shape(pictures.shape)[1:3])
        except MammoError:
            points = 0
        try:
            if points >= LEAST_POINTS:
                return activation_maps(model, pictures)
            return gradient_maps(model, pictures)
        except MammoError:
            return None

    def results(
        self, model: keras.Model, records: Records, positions: NDArray[np.int64], scoring: Scoring, folder: Path | None
    ) -> pd.DataFrame:
        """Predictions of labelled pictures; see `Task`."""
        labels = self.truth(records.rows.iloc[positions])
        plan = scoring.sampling.scoring_plan(records, Cases(positions, labels, self.wanted))
        draws = plan.epoch(0)
        rows = records.rows.iloc[draws.positions]
        if "patch_seed" in draws.columns:
            rows = rows.assign(patch_seed=draws.columns["patch_seed"])
        probabilities = predict_probabilities(
            flip_averaged(model) if scoring.flips else model, records, plan, scoring.batch_size,
            scoring.preprocessing, padded=scoring.padded,
        )  # fmt: skip
        return make_predictions(rows, draws.columns["label"], probabilities[:, 1])

    def measure(self, table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
        """Nothing: scores say it all."""
        return {}


def shape_words(shapes: Sequence[Sequence[int | None]]) -> str:
    """`128x128x3 and 5`; a size that is open is `?`."""
    texts = ["x".join("?" if size is None else str(size) for size in shape) or "one number" for shape in shapes]
    return " and ".join(texts) or "nothing that is known"


def _image(batch: Mapping[str, Any]) -> Any:
    return batch["image"]


def class_weights(one_hot: Any) -> Any:
    """1 / (share of its class in this batch) for each sample, float32 `[batch]`.

    Source: `tests/golden/end2end/preprocess.npz`, `m_weights_w`.

    Args:
        one_hot: float32 `[batch, classes]`.
    """
    shares = tf.reduce_mean(one_hot, axis=0)
    return tf.reduce_sum(one_hot * tf.math.divide_no_nan(1.0, shares), axis=1)
