"""What a Keras 2 file says of its training, as a stage of ours; what has no field is told, what is unknown is refused.

The state of the optimiser is not taken. Classes of tensorflow-addons that are known: AdamW, LAMB, the cyclical learning
rates, F1Score; see `docs/migration.md`. Nothing is run: a function in the file stays text.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from mammo_tf.errors import MammoError
from mammo_tf.training.schedules import CyclicRate
from mammo_tf.training.stages import Stage

EPOCHS = 10  # a file tells none
PACKAGES = ("Addons>", "Custom>")  # in front of registered names
OPTIMIZERS = {"Adam": "adam", "AdamW": "adam", "Nadam": "nadam", "SGD": "sgd", "LAMB": "lamb", "Lamb": "lamb"}
USED = {  # what our stage has, where a file may have another
    "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7, "amsgrad": False, "decay": 0.0, "momentum": 0.9, "nesterov": True,
    "clipnorm": None, "clipvalue": None, "use_ema": False, "exclude_from_layer_adaptation": None,
}  # fmt: skip
HEIGHTS = {
    "CyclicalLearningRate": "triangular",
    "TriangularCyclicalLearningRate": "triangular",
    "Triangular2CyclicalLearningRate": "triangular2",
    "ExponentialCyclicalLearningRate": "exponential",
}
COUNTED = {"cycle": "cycles", "iterations": "steps"}
LOSSES = ("categorical_crossentropy", "CategoricalCrossentropy")
ACCURACY = (
    "acc", "accuracy", "categorical_accuracy", "binary_accuracy", "Accuracy", "CategoricalAccuracy", "BinaryAccuracy",
)  # fmt: skip
KEPT = {"AUC": "val_auc", "auc": "val_auc", "F1Score": "val_f1"}
REMEDY = "Known are those of docs/migration.md; --without-training takes the network alone"


@dataclass(frozen=True)
class LegacyTraining:
    """A file's training as one stage of everything, and a sentence for each thing that is not there as it was here."""

    stage: Stage
    remarks: tuple[str, ...]


def legacy_training(stored: Any) -> LegacyTraining:
    """The stage that a training configuration amounts to.

    Args:
        stored: of a Keras 2 file, as JSON values: `optimizer_config`, `loss`, `metrics`.

    Raises:
        MammoError: `training_unknown`, which names the optimiser, schedule, loss or metric that is not known, or says
            which of them is damaged.
    """
    if not isinstance(stored, dict):
        raise MammoError("training_unknown", f"the training configuration is {stored!r:.60}, not a group", REMEDY)
    name, settings = _named(stored.get("optimizer_config"), "optimiser")
    plain = _plain(name)
    if plain not in OPTIMIZERS or (name.startswith("Addons>") and plain not in ("AdamW", "LAMB")):
        _refuse("optimiser", name)
    _check_loss(stored.get("loss"))
    kept, remarks = _kept(stored.get("metrics"))
    lowest, schedule, more = _rate(settings.get("learning_rate", settings.get("lr")))
    decay, further = _decay(name, settings, lowest, schedule)
    clip = settings.get("global_clipnorm")
    stage = Stage(
        "imported", ("all",), lowest, EPOCHS,
        optimizer=OPTIMIZERS[plain],
        weight_decay=decay,
        decay="l2" if decay is None else "decoupled",
        schedule=schedule,
        rate_patience=0 if schedule else 2,
        keep=kept,
        clip_norm=None if clip is None else _number(clip, "global_clipnorm"),
    )  # fmt: skip
    unfit = (
        f"{key} {value!r} has no field: it is {USED[key]!r} here"
        for key, value in settings.items()
        if key in USED and value != USED[key] and _rounded(value) != USED[key] and value != []
    )
    epochs = f"a file tells no number of epochs: {EPOCHS} are set"
    return LegacyTraining(stage, (*remarks, *more, *further, *unfit, epochs))


def _refuse(what: str, name: Any) -> NoReturn:
    raise MammoError("training_unknown", f"the file was trained with the {what} {name}, which is not known", REMEDY)


def _named(value: Any, what: str) -> tuple[str, dict[str, Any]]:
    """Registered name and settings of a stored object."""
    if isinstance(value, str):
        return value, {}
    name = value.get("registered_name") or value.get("class_name") if isinstance(value, dict) else None
    settings = value.get("config") if isinstance(value, dict) else None
    if not isinstance(name, str) or not isinstance(settings, dict):
        raise MammoError("training_unknown", f"the {what} is {value!r:.60}, without a class or settings", REMEDY)
    return name, settings


def _plain(name: str) -> str:
    for package in PACKAGES:
        name = name.removeprefix(package)
    return name


def _rounded(value: Any) -> Any:
    """Numbers to seven digits, as float32 leaves them."""
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _number(value: Any, what: str) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e30:
        raise MammoError("training_unknown", f"{what} is {value!r:.60}, not a number", REMEDY)
    return float(_rounded(float(value)))


def _rate(stored: Any) -> tuple[float, CyclicRate | None, tuple[str, ...]]:
    """Rate at the start, schedule, remarks."""
    if not isinstance(stored, dict):
        rate = _number(stored, "learning_rate")
        if not rate:
            raise MammoError("training_unknown", "learning_rate is 0", REMEDY)
        return rate, None, ()
    name, settings = _named(stored, "schedule")
    plain = _plain(name)
    if plain not in HEIGHTS:
        _refuse("schedule", name)
    counted = settings.get("scale_mode", "cycle")
    if counted not in tuple(COUNTED):  # of a file of anyone, it may be of any kind
        _refuse("schedule", f"{name} with scale_mode {counted!r}")
    lowest = _number(settings.get("initial_learning_rate"), "initial_learning_rate")
    highest = _number(settings.get("maximal_learning_rate"), "maximal_learning_rate")
    if not 0 < lowest <= highest:
        _refuse("schedule", f"{name} from {lowest:g} to {highest:g}")
    schedule = CyclicRate(
        highest, _number(settings.get("step_size"), "step_size"), HEIGHTS[plain],
        _number(settings.get("gamma", 1.0), "gamma"), COUNTED[counted],
    )  # fmt: skip
    function = plain == "CyclicalLearningRate"
    remark = "scale_fn is a function, which is not run: cycles keep their height unless schedule.height says otherwise"
    return lowest, schedule, (remark,) if function else ()


def _decay(
    name: str, settings: dict[str, Any], lowest: float, schedule: CyclicRate | None
) -> tuple[float | None, tuple[str, ...]]:
    """Factor of the decoupled decay and what is to be said of it.

    AdamW of tensorflow-addons shrinks a weight by its factor a step, whatever the rate; ours, as Keras' own, by rate x
    factor. In LAMB both stand inside the update, which the rate multiplies.
    """
    stored = settings.get("weight_decay", settings.get("weight_decay_rate"))
    if isinstance(stored, dict):
        _refuse("schedule of weight decay", _named(stored, "schedule of weight decay")[0])
    factor = 0.0 if stored is None else _number(stored, "weight_decay")
    if not factor:
        return None, ()
    spared = settings.get("exclude_from_weight_decay")
    told = [
        "biases and normalisation were decayed, and are spared here"
        if not spared
        else f"what was spared by weight decay, {spared!r}, has no field: biases and normalisation are here"
    ]
    if name != "Addons>AdamW":
        return factor, tuple(told)
    rate = lowest if schedule is None else (lowest + schedule.highest) / 2
    of = "the rate" if schedule is None else "the mean rate of the first cycle, as it followed no rate"
    wanted = _number(factor / rate, "weight_decay")
    return wanted, (f"weight_decay {factor:g} a step is {wanted:g} x the rate: divided by {rate:g}, {of}", *told)


def _check_loss(stored: Any) -> None:
    name, settings = _named(stored, "loss")
    if _plain(name) not in LOSSES or name.startswith("Addons>"):
        _refuse("loss", name)
    for key, usual in (("label_smoothing", 0), ("from_logits", False), ("axis", -1)):
        if settings.get(key, usual) != usual:
            _refuse("loss", f"{name} with {key} {settings[key]!r}")


def _metrics(stored: Any) -> Iterator[Any]:
    """All metrics, however they are grouped by output."""
    if isinstance(stored, list):
        for item in stored:
            yield from _metrics(item)
    elif isinstance(stored, dict) and "class_name" not in stored:
        yield from _metrics(list(stored.values()))
    elif stored is not None:
        yield stored


def _kept(stored: Any) -> tuple[str | None, tuple[str, ...]]:
    """The figure of validation that the first metric with a field stands for, and remarks."""
    kept: str | None = None
    remarks = []
    for metric in _metrics(stored):
        name, settings = _named(metric, "metric")
        plain = _plain(name)
        inner = settings.get("fn", "accuracy") if plain == "MeanMetricWrapper" else plain
        if inner in ACCURACY and not name.startswith("Addons>"):
            continue
        if plain not in KEPT or (name.startswith("Addons>") and plain != "F1Score"):
            _refuse("metric", name if plain != "MeanMetricWrapper" else inner)
        kept = kept or KEPT[plain]
        average, threshold = settings.get("average"), settings.get("threshold")
        if plain == "F1Score":
            remarks.append(
                f"val_f1 is that of the positive class at 0.5 (average was {average}, threshold {threshold})"
            )
        elif str(settings.get("curve", "ROC")).upper() != "ROC":
            _refuse("metric", f"{name} with curve {settings['curve']}")
    return kept, tuple(remarks)
