"""What a stage is trained and validated on."""

from __future__ import annotations

from dataclasses import dataclass

from mammo_tf.data.feeding import Feeders
from mammo_tf.data.plans import Plan
from mammo_tf.data.shares import ALONE, Share
from mammo_tf.data.streams import StageStream
from mammo_tf.imaging.preprocessing import Preprocessing
from mammo_tf.records import Records
from mammo_tf.training.tasks import Classification, Task


@dataclass(frozen=True)
class Material:
    """What a stage is trained and validated on.

    Attributes:
        records: prepared images.
        preprocessing: from prepared pictures to network input.
        training, validation: plans; validation is taken once an epoch, in order.
        batch_size: images in a batch, over all devices.
        batch_weights: weigh the classes of each batch alike.
        task: what the network is asked.
        feeders: who makes the batches of training; None for this process.
    """

    records: Records
    preprocessing: Preprocessing
    training: Plan
    validation: Plan
    batch_size: int
    batch_weights: bool = False
    task: Task = Classification()
    feeders: Feeders | None = None

    def stream(self, first_epoch: int, stage: int, share: Share = ALONE) -> StageStream:
        """What a stage, counted through its recipe, sees from an epoch on."""
        masks = self.task.masks(self.records)
        return StageStream(
            self.records, self.training, self.batch_size, self.preprocessing, first_epoch, stage, masks, share
        )
