"""What a task is: everything about a network's outputs that streams, fit, runner and export must not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple, Protocol

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from mammo_tf.data.plans import Draws
from mammo_tf.data.sampling import PlanMaker, WholeImageSampling
from mammo_tf.data.streams import Masks
from mammo_tf.evaluation import Resampling
from mammo_tf.evaluation.numbers import Levels
from mammo_tf.fields import Kinds
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records
from mammo_tf.study import Finding

TASKS = Kinds()


class Compiled(NamedTuple):
    """What a task hands to `keras.Model.compile`."""

    loss: keras.losses.Loss
    weighted_metrics: list[Any]


class Scoring(NamedTuple):
    """How pictures are scored.

    Attributes:
        preprocessing: from prepared pictures to network input.
        batch_size: pictures at once.
        flips: mean over four flips of each picture.
        padded: the last batch is filled, for several devices.
        sampling: what of each picture is scored.
    """

    preprocessing: Preprocessing
    batch_size: int
    flips: bool = False
    padded: bool = False
    sampling: PlanMaker = WholeImageSampling()


class Task(Protocol):
    """One kind of question that a network answers.

    Attributes:
        kind: tells descriptions apart in JSON.
        monitors: what its validation gives and a stage may watch, and the word for it (`val_auc`: `AUC`).
        balances: kinds of `data.BALANCES` that make sense for it.
    """

    kind: ClassVar[str]
    monitors: ClassVar[Mapping[str, str]]
    balances: ClassVar[tuple[str, ...]]

    def truth(self, rows: pd.DataFrame) -> NDArray[np.int64]:
        """1, 0, or `study.UNLABELLED` for each row of a manifest, int64 `[rows]`."""

    def wanted(self, finding: Finding) -> bool:
        """Whether a finding is one that the task looks for."""

    def check_rows(self, rows: pd.DataFrame, splits: Sequence[str]) -> None:
        """Refuses a study on which the task cannot be trained or measured.

        Raises:
            MammoError: says which split lacks what.
        """

    def masks(self, records: Records) -> Masks | None:
        """What streams carry as `mask`; None where the task needs none."""

    def check_network(self, model: keras.Model, what: str, classes: int | None = None) -> None:
        """Refuses a network whose outputs are not the task's.

        Args:
            model: any.
            what: how to call it in messages (`the start model runs/a`).
            classes: of the labels that a plan draws, where they are not the task's own.

        Raises:
            MammoError: `outputs_wrong`.
        """

    def pair(self, batch: Mapping[str, Any], model: keras.Model, balanced: bool) -> tuple[Any, Any, Any]:
        """Pictures, target and weight of a batch of the training stream; `balanced` weighs its classes alike."""

    def compiled(self, model: keras.Model) -> Compiled:
        """Loss and running metrics."""

    def validate(self, model: keras.Model, stream: tf.data.Dataset, draws: Draws) -> dict[str, float]:
        """Exact figures over all validation pictures, whatever the batches and devices: `val_loss` and `monitors`.

        Args:
            model: compiled.
            stream: an `inference_stream`, with masks where the task asks for them.
            draws: what the stream shows, in order.
        """

    def serving_network(self, model: keras.Model) -> keras.Model:
        """The network with every output that is served; weights shared."""

    def named_outputs(self, outputs: Sequence[Any]) -> dict[str, Any]:
        """Outputs of `serving_network` by the names of the contract: `score` `[batch]`, and `heatmap` or `mask`."""

    def evidence(self, model: keras.Model, pictures: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """Where a network looked, `[batch, map rows, map columns]`, for pictures of a report; None where it cannot say.

        Args:
            model: the network.
            pictures: network input, float32 `[batch, rows, columns, channels]`.
        """

    def results(
        self, model: keras.Model, records: Records, positions: NDArray[np.int64], scoring: Scoring, folder: Path | None
    ) -> pd.DataFrame:
        """Predictions of labelled pictures, as `evaluation.make_predictions`, with the task's own columns behind.

        Args:
            model: the network.
            records, positions: which pictures.
            scoring: how.
            folder: where files next to the table go (`masks/`); None writes none.
        """

    def measure(self, table: pd.DataFrame, resampling: Resampling) -> dict[str, Levels]:
        """Numbers beyond those of scores: split -> level -> name -> number of `metrics.json`; often none."""


AnyTask = Annotated[Task, TASKS]
