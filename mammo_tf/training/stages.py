"""A stage of training: what is trained, at which rates, until when; and a model for which that is truly so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from mammo_tf.errors import MammoError
from mammo_tf.files import NAME_BYTES, is_folder_name
from mammo_tf.models.groups import set_trainable
from mammo_tf.models.rebuild import rebuild
from mammo_tf.training.computation import Computation
from mammo_tf.training.optimizers import CoupledAdam, CoupledLamb, CoupledNadam, CoupledSGD, Lamb
from mammo_tf.training.schedules import CyclicRate
from mammo_tf.training.tasks import Classification, Task

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "nadam": keras.optimizers.Nadam,
    "sgd": keras.optimizers.SGD,
    "lamb": Lamb,
}
COUPLED = {"adam": CoupledAdam, "nadam": CoupledNadam, "sgd": CoupledSGD, "lamb": CoupledLamb}
DECAYS = ("l2", "decoupled", "coupled")
STATISTICS = ("epoch", "last_batch")
MOST_EPOCHS = 1_000_000
LEAST, MOST = 1e-37, 1e37  # of numbers that float32 keeps apart from 0 and from infinity


@dataclass(frozen=True)
class Stage:
    """One line of a table such as Table 6.

    Attributes:
        name: of its checkpoints and curves.
        trainable: parts of the network (`models.groups`): "all", "block_2", "normalisation", "encoder/*", ...
        rate: learning rate at the start.
        epochs: at most.
        weight_decay: factor; None keeps the model's own.
        dropout: rate of every dropout layer; None keeps the model's own.
        decay: "l2", loss + factor x sum of squares of the kernels that carry decay; "decoupled", every weight but
            biases and normalisation shrinks by rate x factor a step (AdamW; of "lamb" inside its update); or "coupled",
            factor x weight is added to the gradient of every weight that is trained (Adam of other frameworks, methods
            A and B).
        optimizer: "adam", "nadam", "sgd" (momentum 0.9, Nesterov) or "lamb" (a rate a layer, large batches).
        rate_patience: epochs without gain before the rate falls; 0 switches it off.
        rate_factor: what the rate is multiplied by then.
        rate_floor: no lower than this.
        stop_patience: epochs without gain before the stage ends; 0 switches it off.
        monitor: "val_loss", or another figure of the task's validation (`val_auc`, `val_dice`), for both patiences.
        keep: the figure whose best epoch gives the stage's weights; None takes `monitor`.
        warm_up: batches in which the rate rises to `rate`, from the first of the stage; 0 for none.
        clip_norm: the gradient of all weights together is shortened to this norm; None leaves it. On one device alone,
            as each of several would shorten its own.
        batch_norm: False keeps all batch normalisations in inference mode with their weights.
        statistics: by which layer normalisations know a branch's domain: the mean over the examples of the "epoch", or
            over those of its "last_batch" (a branch without an example there keeps those of the batch before). Batch
            normalisations have moving statistics.
        average: momentum of a moving average of all trained weights over the steps; it is the average that is validated
            and kept, while training goes on from the weights themselves. None keeps no average.
        schedule: how the rate goes from step to step, from `rate` on; then `rate_patience` and `warm_up` are 0. None
            leaves it at `rate`, or where patience takes it.
    """

    name: str
    trainable: tuple[str, ...]
    rate: float
    epochs: int
    weight_decay: float | None = None
    dropout: float | None = None
    decay: str = "l2"
    optimizer: str = "adam"
    rate_patience: int = 2
    rate_factor: float = 0.1
    rate_floor: float = 0.0
    stop_patience: int = 3
    monitor: str = "val_loss"
    keep: str | None = None
    batch_norm: bool = True
    warm_up: int = 0
    clip_norm: float | None = None
    statistics: str = "epoch"
    average: float | None = None
    schedule: CyclicRate | None = None

    def __post_init__(self) -> None:
        rules = (
            (is_folder_name(self.name), f"name is that of a folder, of at most {NAME_BYTES} bytes"),
            (self.rate > 0, "rate is above 0"),
            (
                all(map(_computable, (self.rate, self.weight_decay, self.clip_norm))),
                f"rate, weight_decay and clip_norm are from {LEAST:g} to {MOST:g}",
            ),
            (self.rate_floor >= 0, "rate_floor is 0 or more"),
            (1 <= self.epochs <= MOST_EPOCHS, f"epochs is 1 or more, up to {MOST_EPOCHS}"),
            (self.weight_decay is None or self.weight_decay >= 0, "weight_decay is 0 or more"),
            (self.dropout is None or 0 <= self.dropout < 1, "dropout lies from 0 to below 1"),
            (self.decay in DECAYS, f"decay is one of {', '.join(DECAYS)}"),
            (self.optimizer in OPTIMIZERS, f"optimizer is one of {', '.join(OPTIMIZERS)}"),
            (self.monitor.startswith("val_"), "monitor is a figure of validation, such as val_loss"),
            (self.kept.startswith("val_"), "keep is a figure of validation, such as val_auc"),
            (0 < self.rate_factor < 1, "rate_factor lies between 0 and 1"),
            (min(self.rate_patience, self.stop_patience) >= 0, "a patience is 0 or more"),
            (self.warm_up >= 0, "warm_up is 0 or more"),
            (self.clip_norm is None or self.clip_norm > 0, "clip_norm is above 0"),
            (self.average is None or 0 < self.average < 1, "average lies between 0 and 1"),
            (self.statistics in STATISTICS, f"statistics is one of {', '.join(STATISTICS)}"),
            (self.schedule is None or self.rate_patience == 0, "rate_patience is 0 where there is a schedule"),
            (self.schedule is None or self.warm_up == 0, "warm_up is 0 where there is a schedule"),
            (self.schedule is None or self.rate <= self.schedule.highest, "rate is at most that of the schedule's top"),
        )
        for right, rule in rules:
            if not right:
                raise MammoError("stage_wrong", f"stage {self.name!r}: {rule}, got {self}")

    @property
    def kept(self) -> str:
        """The figure that decides which epoch's weights are kept."""
        return self.keep or self.monitor


def _computable(number: float | None) -> bool:
    """Whether a network can compute with a number that is not 0."""
    return not number or LEAST <= number <= MOST


def prepare_stage(
    model: keras.Model,
    stage: Stage,
    synchronized: bool | None = None,
    computation: Computation | None = None,
    task: Task = Classification(),  # noqa: B008 - frozen
) -> keras.Model:
    """A new model with the weights of `model`, compiled so that every setting of the stage is in force.

    Call it inside the scope of the distribution strategy. The optimiser is new.

    Args:
        model: the model to continue with.
        stage: what to do.
        synchronized: batch statistics over all devices.
        computation: how a step is computed; None keeps the model's precision.
        task: gives the loss and the running metrics.

    Raises:
        MammoError: `part_unknown`.
    """
    l2 = stage.weight_decay if stage.decay == "l2" else (0.0 if stage.weight_decay is not None else None)
    computed = computation or Computation()
    renewed = rebuild(model, stage.dropout, l2, synchronized, computation.precision if computation else None)
    set_trainable(renewed, stage.trainable, stage.batch_norm)
    batches = {"gradient_accumulation_steps": computed.accumulate} if computed.accumulate > 1 else {}
    optimizer = make_optimizer(stage, **batches)
    if computed.precision == "mixed_float16":  # Keras wraps it by itself only where the global policy says so
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    asked = task.compiled(renewed)
    renewed.compile(
        optimizer=optimizer, loss=asked.loss, weighted_metrics=asked.weighted_metrics, jit_compile=computed.xla
    )
    renewed.optimizer.build(renewed.trainable_variables)
    return renewed


def better_when(monitor: str) -> str:
    """`min` for a loss, `max` for any other figure."""
    return "min" if monitor.endswith("loss") else "max"


def make_optimizer(stage: Stage, **more: Any) -> keras.optimizers.Optimizer:
    """A new optimiser with the stage's rate, and its decay where that is not `l2`; `more` goes to Keras."""
    settings: dict[str, Any] = {"momentum": 0.9, "nesterov": True} if stage.optimizer == "sgd" else {}
    if stage.clip_norm is not None:
        settings["global_clipnorm"] = stage.clip_norm
    if stage.average is not None:
        settings |= {"use_ema": True, "ema_momentum": stage.average, "ema_overwrite_frequency": None}
    rate = stage.rate if stage.schedule is None else stage.schedule.of(stage.rate)
    if stage.decay == "coupled" and stage.weight_decay:
        return COUPLED[stage.optimizer](rate, coupled_decay=stage.weight_decay, **(more | settings))
    decay = stage.weight_decay if stage.decay == "decoupled" and stage.weight_decay else None
    optimizer = OPTIMIZERS[stage.optimizer](rate, weight_decay=decay, **(more | settings))
    if decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
