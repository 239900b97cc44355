"""The description of an experiment: typed, validated, JSON both ways."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mammo_tf.data import BALANCES, Augmentation
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import OperatingRule, Resampling
from mammo_tf.evaluation.calibration import METHODS as CALIBRATIONS
from mammo_tf.evaluation.intervals import METHODS
from mammo_tf.evaluation.levels import AGGREGATES
from mammo_tf.fields import from_json, to_json
from mammo_tf.imaging.preprocessing import PRESETS
from mammo_tf.study import LABELS
from mammo_tf.training import PRECISIONS, Stage

SMOKE_SIZE = (128, 128)
MODULE = "mammo_tf_recipe"
FROM_START, FROM_TRAINING = "start", "training"


def _check(right: bool, rule: str) -> None:
    if not right:
        raise MammoError("recipe_wrong", rule)


@dataclass(frozen=True)
class Network:
    """The whole-image classifier, see `models.end2end`; with a start model, only rows and columns are used.

    Attributes:
        backbone: "vgg16", "resnet50" or "resnet50_padded".
        top: "512x1" or "512-512-1024x2".
        width: fraction of all numbers of filters.
        rows, columns: size of the input in pixels; None takes the size of the records, or with a manifest that of the
            start model, or 1152x896.
    """

    backbone: str = "vgg16"
    top: str = "512x1"
    width: float = 1.0
    rows: int | None = None
    columns: int | None = None

    def __post_init__(self) -> None:
        _check((self.rows is None) == (self.columns is None), "network.rows and network.columns are given together")


@dataclass(frozen=True)
class Preparation:
    """From stored pixels to the network's input.

    Attributes:
        preset: "default" or "legacy" (`imaging.Preprocessing.preset`), or "start": as the start model has it.
        mean: what is subtracted on the scale 0 to 255: "training", the mean of the training pictures; "start", that of
            the start model; or a number.
        channels: 1 or 3.
    """

    preset: str = "default"
    mean: str | float = FROM_TRAINING
    channels: int = 3

    def __post_init__(self) -> None:
        presets = (*PRESETS, FROM_START)
        _check(self.preset in presets, f"preparation.preset is one of {', '.join(presets)}")
        _check(
            not isinstance(self.mean, str) or self.mean in (FROM_START, FROM_TRAINING),
            f"preparation.mean is a number, {FROM_TRAINING} or {FROM_START}",
        )


@dataclass(frozen=True)
class PatchTraining:
    """The patch classifier that becomes the body.

    Attributes:
        stages: of its training.
        classes: class number of a finding's label, or of `kind/label`; background is 0.
        rows, columns: of a patch, in prepared pixels.
        lesion_patches, background_patches, jitter: see `data.Patches`.
        dropout, weight_decay: of the patch model when it is built.
        batch_size: patches in a batch.
        augmentation: of the patches.
    """

    stages: tuple[Stage, ...]
    classes: dict[str, int] = field(default_factory=lambda: {"benign": 1, "high_risk": 2, "malignant": 2})
    rows: int = 224
    columns: int = 224
    lesion_patches: int = 6
    background_patches: int = 3
    jitter: float = 0.25
    dropout: float = 0.0
    weight_decay: float = 0.0
    batch_size: int = 32
    augmentation: Augmentation = field(default_factory=Augmentation)


@dataclass(frozen=True)
class Training:
    """What all stages share.

    Attributes:
        batch_size: images in a batch, over all devices.
        augmentation: one warp an image.
        class_balance: "none", "batch_weights" (as the thesis ran it) or "balanced_sampling".
        precision: "float32", "mixed_bfloat16" or "mixed_float16".
        seed: decides weights, order, augmentation and dropout.
    """

    batch_size: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    class_balance: str = "none"
    precision: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        _check(self.batch_size >= 1, "training.batch_size is 1 or more")
        _check(self.seed >= 0, "training.seed is 0 or more")
        _check(self.class_balance in BALANCES, f"training.class_balance is one of {', '.join(BALANCES)}")
        _check(self.precision in PRECISIONS, f"training.precision is one of {', '.join(PRECISIONS)}")


@dataclass(frozen=True)
class Evaluation:
    """How scores become numbers.

    Attributes:
        positives: labels that count as positive.
        flips: mean over four flips of each picture.
        breast, patient: aggregates, "mean", "maximum" or "noisy_or".
        replicates, interval, stratified: of the bootstrap over patients, see `evaluation.Resampling`.
        operating_point: how the threshold is chosen on validation.
        calibration: "platt", "isotonic" or "temperature", fitted on validation and stored with the model; "" for none.
        mean: what is subtracted in evaluation and afterwards, if it is not what was subtracted in training.
    """

    positives: tuple[str, ...] = ("malignant", "high_risk")
    flips: bool = False
    breast: str = "mean"
    patient: str = "maximum"
    replicates: int = 2000
    interval: str = "percentile"
    stratified: bool = False
    operating_point: OperatingRule = OperatingRule()
    calibration: str = ""
    mean: float | None = None

    def __post_init__(self) -> None:
        _check(set(self.positives) <= set(LABELS) and bool(self.positives), f"positives are among {', '.join(LABELS)}")
        calibrations = ("", *CALIBRATIONS)
        _check(self.calibration in calibrations, f"calibrations are {', '.join(CALIBRATIONS)}, or empty")
        _check(self.interval in METHODS, f"intervals are {', '.join(METHODS)}")
        _check(self.breast in AGGREGATES and self.patient in AGGREGATES, f"aggregates are {', '.join(AGGREGATES)}")

    @property
    def aggregates(self) -> dict[str, str]:
        """How scores of views and of breasts are put together, by level."""
        return {"breast": self.breast, "patient": self.patient}

    @property
    def resampling(self) -> Resampling:
        """How intervals are made."""
        return Resampling(self.replicates, method=self.interval, stratified=self.stratified)


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        name: of the run folder.
        about: one sentence.
        stages: of the whole-image model, in order; none evaluates the start model alone.
        network, preparation, training, evaluation: see there.
        patch: the patch stage, where the model starts from nothing.
        start: model to start from: `.keras`, published `.h5`, or a run folder.
        needs_start: whether a start model must be named.
        dropout, weight_decay: of a whole-image model that is built here.
    """

    name: str
    about: str
    stages: tuple[Stage, ...] = ()
    network: Network = field(default_factory=Network)
    preparation: Preparation = field(default_factory=Preparation)
    training: Training = field(default_factory=Training)
    evaluation: Evaluation = field(default_factory=Evaluation)
    patch: PatchTraining | None = None
    start: str | None = None
    needs_start: bool = False
    dropout: float = 0.0
    weight_decay: float = 0.001

    def __post_init__(self) -> None:
        names = [stage.name for stage in (*self.stages, *(self.patch.stages if self.patch else ()))]
        _check(len(set(names)) == len(names), f"stages have different names, not {', '.join(names)}")
        _check(not (self.patch and self.needs_start), "a recipe with a patch stage starts from nothing")

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values; `from_json` gives an equal recipe."""
        return dict(to_json(self))

    @classmethod
    def from_json(cls, value: Any) -> Recipe:
        """What `to_json` gave, back; errors as `fields.from_json`."""
        return from_json(cls, value)


def smoke(recipe: Recipe) -> Recipe:
    """The same road in about twenty seconds: 128x128 pixels, 1/32 of the filters, one epoch a stage.

    Args:
        recipe: any.
    """

    def short(stage: Stage) -> Stage:
        return replace(stage, epochs=1)

    patch = recipe.patch and replace(
        recipe.patch, stages=tuple(map(short, recipe.patch.stages)), rows=32, columns=32, batch_size=8,
        lesion_patches=1, background_patches=1,
    )  # fmt: skip
    return replace(
        recipe,
        name=f"{recipe.name}-smoke",
        stages=tuple(map(short, recipe.stages)),
        patch=patch,
        network=replace(recipe.network, width=1 / 32, rows=SMOKE_SIZE[0], columns=SMOKE_SIZE[1]),
        training=replace(recipe.training, batch_size=8),
        evaluation=replace(recipe.evaluation, replicates=100),
    )


def load_recipe(path: str | Path, variant: str = "recipe") -> Recipe:
    """Runs a recipe file (Python) and calls its function `recipe`, or another variant's, which gives the recipe.

    Raises:
        MammoError: `file_missing`, `not_a_recipe`, `variant_unknown`.
    """
    path = Path(path)
    if not path.is_file():
        raise MammoError("file_missing", f"the recipe {path} is not there", "The package's own are in pipelines/")
    specification = importlib.util.spec_from_file_location(MODULE, path)
    if specification is None or specification.loader is None:
        raise MammoError("not_a_recipe", f"{path} is no Python file", "The package's own recipes are in pipelines/")
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
    except MammoError:
        raise
    except Exception as error:  # a recipe is the user's own code, and may raise anything
        raise MammoError("not_a_recipe", f"{path} cannot be run as a recipe: {error}") from error
    functions = {name: value for name, value in vars(module).items() if getattr(value, "__module__", "") == MODULE}
    function = functions.get(variant.replace("-", "_"))
    if not callable(function):
        known = ", ".join(name for name in functions if not name.startswith("_")) or "none"
        raise MammoError("variant_unknown", f"{path} has no variant {variant!r}", f"It has {known}")
    try:
        made = function()
    except MammoError:
        raise
    except Exception as error:  # as above
        raise MammoError("not_a_recipe", f"{path}: {variant} fails: {error}") from error
    if not isinstance(made, Recipe):
        raise MammoError("not_a_recipe", f"{path}: {variant} gives no Recipe")
    return made
