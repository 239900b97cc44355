"""The description of an experiment: typed, validated, JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mammo_tf.data import BALANCES, Augmentation, TileSampling, WholeImageSampling
from mammo_tf.data.sampling import PlanMaker, Sampling
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import OperatingRule, Resampling
from mammo_tf.evaluation.calibration import METHODS as CALIBRATIONS
from mammo_tf.evaluation.intervals import METHODS
from mammo_tf.evaluation.levels import AGGREGATES
from mammo_tf.fields import from_json, to_json
from mammo_tf.files import NAME_BYTES, is_folder_name
from mammo_tf.imaging.histogram import RULES
from mammo_tf.imaging.preprocessing import PRESETS
from mammo_tf.models import End2End, Network
from mammo_tf.recipes.recipe_file import RecipeFile
from mammo_tf.study import Projection
from mammo_tf.training import PRECISIONS, AnyTask, Classification, Computation, Segmentation, Stage

FORMAT = 2
FROM_START, FROM_TRAINING = "start", "training"


def _check(right: bool, rule: str) -> None:
    if not right:
        raise MammoError("recipe_wrong", rule)


def _counted(branches: int) -> str:
    return "one branch" if branches == 1 else f"{branches} branches"


MOST_IMAGES = 65_536  # in a batch, and batches of an update
LAST_SEED = 2**31 - 1
FARTHEST = 1e6  # of grey levels in front of a network
WHITE_LEVEL = 255.0  # white in front of a network, where a recipe says nothing else


def _is_level(value: str | float) -> bool:
    return not isinstance(value, str) and abs(value) <= FARTHEST


@dataclass(frozen=True)
class Matching:
    """Histogram matching in front of a preparation's intensities, in place of that of a start model.

    Attributes:
        reference: file of the histogram that pictures shall have, as `mammo-tf histogram` writes it.
        source: file of the histogram of the domain that they are from: one table for all pictures; None carries each
            picture from its own histogram, where pictures are seen whole.
        rule: for levels that the reference lacks, see `imaging.histogram.matching_lut`; with a source.
    """

    reference: str
    source: str | None = None
    rule: str = "first"

    def __post_init__(self) -> None:
        _check(self.rule in RULES, f"preparation.matching.rule is one of {', '.join(RULES)}")
        _check(self.source is not None or self.rule == "first", "without a source the rule of matching is first")


@dataclass(frozen=True)
class Preparation:
    """From stored pixels to the network's input.

    Attributes:
        preset: "default", "graph", "legacy" or "native" (`imaging.Preprocessing.preset`), or "start": as the start
            model has it.
        mean: what is subtracted, on the scale of `white`: "training", the mean of the training pictures; "start", that
            of the start model; or a number.
        channels: 1 or 3.
        auto_levels: each picture's own maximum becomes white, in place of one scale for all (early runs of the thesis).
        rows, columns: size of prepared pictures in pixels; None takes the size of the records, or with a manifest that
            of the start model, or 1152x896.
        projection: which pictures a volume becomes: "mip" (the maximum over all its frames), "slab" (over each run of
            neighbouring frames) or "slice" (each frame); None takes that of the records, with preset "start" that of
            the start model, else "mip".
        slab_slices, slab_mm: thickness of a slab, one of the two.
        matching: histogram matching; None with preset or mean "start" for that of the start model, if it has one, else
            for none.
        harmonising: file of curve and contrast by scale, as `mammo-tf harmonise` writes it, in place of `matching`.
        tile: rows and columns of the tiles in which pictures of a manifest are stored; None stores them whole.
        white: what white is in front of the network; 1 for one that takes pictures in 0 to 1.
        accept_copies: run although pictures of different splits look the same (`imaging.near_copies`); report and
            model card say so.
    """

    preset: str = "default"
    mean: str | float = FROM_TRAINING
    channels: int = 3
    auto_levels: bool = False
    rows: int | None = None
    columns: int | None = None
    projection: str | None = None
    slab_slices: int | None = None
    slab_mm: float | None = None
    matching: Matching | None = None
    harmonising: str | None = None
    tile: int | None = None
    white: float = WHITE_LEVEL
    accept_copies: bool = False

    def __post_init__(self) -> None:
        white = f"preparation.white is from {1 / FARTHEST:g} to {FARTHEST:g}, not {self.white:g}"
        _check(1 / FARTHEST <= self.white <= FARTHEST, white)
        same = self.preset != FROM_START or self.white == WHITE_LEVEL
        _check(same, "preparation.white is that of the start model where preparation.preset is 'start'")
        thick = self.slab_slices is not None or self.slab_mm is not None
        _check(self.projection is not None or not thick, "a thickness of slabs needs preparation.projection=slab")
        self.volumes()
        one = self.matching is None or self.harmonising is None
        _check(one, "preparation.harmonising holds a curve of its own: leave preparation.matching out")
        presets = (*PRESETS, FROM_START)
        _check(self.preset in presets, f"preparation.preset is one of {', '.join(presets)}")
        _check(
            self.mean in (FROM_START, FROM_TRAINING) or _is_level(self.mean),
            f"preparation.mean is a number up to {FARTHEST:g}, {FROM_TRAINING} or {FROM_START}",
        )
        _check(
            (self.rows is None) == (self.columns is None), "preparation.rows and preparation.columns are given together"
        )

    def volumes(self) -> Projection | None:
        """What becomes of a volume; None where the recipe leaves it open."""
        return None if self.projection is None else Projection(self.projection, self.slab_slices, self.slab_mm)


@dataclass(frozen=True)
class Training:
    """What all phases share.

    Attributes:
        batch_size: images in a batch, over all devices.
        augmentation: one warp an image, then its grey values.
        class_balance: "none", "batch_weights" (as the thesis ran it) or "balanced_sampling".
        precision, accumulate, xla, cache_features: how a step is computed, as of `training.Computation`.
        seed: decides weights, order, augmentation and dropout.
    """

    batch_size: int = 16
    augmentation: Augmentation = field(default_factory=Augmentation)
    class_balance: str = "none"
    precision: str = "float32"
    accumulate: int = 1
    xla: bool = False
    cache_features: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        _check(1 <= self.batch_size <= MOST_IMAGES, f"training.batch_size is 1 or more, up to {MOST_IMAGES}")
        _check(0 <= self.seed <= LAST_SEED, f"training.seed is 0 or more, up to {LAST_SEED}")
        _check(self.class_balance in BALANCES, f"training.class_balance is one of {', '.join(BALANCES)}")
        _check(self.precision in PRECISIONS, f"training.precision is one of {', '.join(PRECISIONS)}")
        _check(1 <= self.accumulate <= MOST_IMAGES, f"training.accumulate is 1 or more, up to {MOST_IMAGES}")

    @property
    def computation(self) -> Computation:
        """How a step is computed."""
        return Computation(self.precision, self.accumulate, self.xla, self.cache_features)


@dataclass(frozen=True)
class Phase:
    """Stages that share a plan and a network; a recipe goes through its phases in order.

    Attributes:
        stages: of the training.
        plan: what an epoch sees.
        network: what is trained, if it is not the recipe's network. The next phase's network grows out of it
            (`Description.grow`): a patch classifier becomes the body of a whole-image classifier.
        batch_size, augmentation: None takes those of `training`.
    """

    stages: tuple[Stage, ...]
    plan: Sampling = field(default_factory=WholeImageSampling)
    network: Network | None = None
    batch_size: int | None = None
    augmentation: Augmentation | None = None

    def __post_init__(self) -> None:
        _check(bool(self.stages), "a phase has a stage")
        size = self.batch_size
        _check(size is None or 1 <= size <= MOST_IMAGES, f"a phase's batch_size is 1 or more, up to {MOST_IMAGES}")
        classes = getattr(self.network, "classes", None)
        if self.plan.class_count is not None and classes is not None:
            _check(
                classes == self.plan.class_count,
                f"the network of a phase gives {classes} classes and its plan has {self.plan.class_count}",
            )


@dataclass(frozen=True)
class Evaluation:
    """How scores become numbers.

    Attributes:
        flips: mean over four flips of each picture.
        breast, exam, patient: aggregates, "mean", "maximum" or "noisy_or"; `exam` takes that of `patient` where it is
            not named.
        pool_exams: measure patients although some have several exams.
        replicates, interval, stratified: of the bootstrap over patients, see `evaluation.Resampling`.
        images_too: next to each, the interval that takes every image for a patient of its own, as the thesis had it.
        operating_point: how the threshold is chosen on validation.
        calibration: "platt", "isotonic" or "temperature", fitted on validation and stored with the model; "" for none.
        mean: what is subtracted in evaluation and afterwards, if it is not what was subtracted in training.
        plan: what of each picture is scored, where it is not what the last phase trained on.
    """

    flips: bool = False
    breast: str = "mean"
    patient: str = "maximum"
    exam: str | None = None
    pool_exams: bool = False
    replicates: int = 2000
    interval: str = "percentile"
    stratified: bool = False
    images_too: bool = False
    operating_point: OperatingRule = OperatingRule()
    calibration: str = ""
    mean: float | None = None
    plan: Sampling | None = None

    def __post_init__(self) -> None:
        _check(self.mean is None or _is_level(self.mean), f"evaluation.mean is a number up to {FARTHEST:g}")
        calibrations = ("", *CALIBRATIONS)
        _check(self.calibration in calibrations, f"calibrations are {', '.join(CALIBRATIONS)}, or empty")
        _check(self.interval in METHODS, f"intervals are {', '.join(METHODS)}")
        _ = self.resampling  # refuses what is wrong with it before anything is trained
        aggregates = set(self.aggregates.values())
        _check(aggregates <= set(AGGREGATES), f"aggregates are {', '.join(AGGREGATES)}")

    @property
    def aggregates(self) -> dict[str, str]:
        """How scores of views and of breasts are put together, by level."""
        exam = {} if self.exam is None else {"exam": self.exam}
        return {"breast": self.breast, **exam, "patient": self.patient}

    @property
    def resampling(self) -> Resampling:
        """How intervals are made."""
        return Resampling(self.replicates, method=self.interval, stratified=self.stratified, also_cases=self.images_too)


@dataclass(frozen=True)
class Recipe:
    """One experiment.

    Attributes:
        name: of the run folder.
        about: one sentence.
        phases: of the training, in order; none measures the start model alone.
        network: what is built where nothing is started from; a start model takes its place.
        task: what the network is asked, and what counts as positive.
        preparation, training, evaluation: see there.
        start: model to start from: `.keras`, published `.h5`, or a run folder.
        needs_start: whether a start model must be named.
    """

    name: str
    about: str
    phases: tuple[Phase, ...] = ()
    network: Network = field(default_factory=End2End)
    task: AnyTask = field(default_factory=Classification)
    preparation: Preparation = field(default_factory=Preparation)
    training: Training = field(default_factory=Training)
    evaluation: Evaluation = field(default_factory=Evaluation)
    start: str | None = None
    needs_start: bool = False

    def __post_init__(self) -> None:
        _check(is_folder_name(self.name), f"name is that of a folder, of at most {NAME_BYTES} bytes, not {self.name!r}")
        names = [stage.name for stage in self.stages]
        _check(len(set(names)) == len(names), f"stages have different names, not {', '.join(names)}")
        _check(
            not (self.from_nothing and self.needs_start),
            "a recipe whose first phase has a network of its own starts from nothing",
        )
        _check(
            not self.phases or self.phases[-1].network is None,
            "the last phase has no network of its own: it trains the recipe's, which is measured",
        )
        pixels = isinstance(self.task, Segmentation)
        _check(pixels or not isinstance(self.scoring, TileSampling), "tiles are for a task of pixels (Segmentation)")
        for phase in self.phases:
            network = phase.network or self.network
            kept, drawn = getattr(network, "branches", 1), len(getattr(phase.plan, "branches", ("one",)))
            _check(
                kept == drawn,
                f"the {network.kind} has {_counted(kept)}, and its plan draws pictures of {_counted(drawn)}",
            )
            _check(
                kept == 1 or not self.evaluation.flips,
                "evaluation.flips is for networks of one branch: the others choose one for each picture",
            )
        for stage in self.stages:
            for watched in (stage.monitor, stage.kept):
                _check(
                    watched in self.task.monitors,
                    f"stage {stage.name} watches {watched}; a {self.task.kind} gives {', '.join(self.task.monitors)}",
                )
        balances = self.task.balances
        _check(
            self.training.class_balance in balances,
            f"training.class_balance of a {self.task.kind} is one of {', '.join(balances)}",
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages of all phases, as they are numbered."""
        return tuple(stage for phase in self.phases for stage in phase.stages)

    @property
    def from_nothing(self) -> bool:
        """Whether the first phase trains a network that no start model can take the place of."""
        return bool(self.phases) and self.phases[0].network is not None

    @property
    def scoring(self) -> PlanMaker:
        """What of each picture is scored."""
        if self.evaluation.plan is not None:
            return self.evaluation.plan.scored()
        return self.phases[-1].plan.scored() if self.phases else WholeImageSampling()

    def path(self, field: str) -> str:
        """The full path of a field: of `stages.stage_2.rate`, as stages have names of their own, that in its phase."""
        first, _, rest = field.partition(".")
        name, _, last = rest.partition(".")
        for number, phase in enumerate(self.phases):
            if first == "stages" and name in {stage.name for stage in phase.stages}:
                return f"phases.{number}.stages.{name}.{last}"
        return field

    def to_json(self) -> dict[str, Any]:
        """The recipe as JSON values; `from_json` gives an equal recipe."""
        return {"format": FORMAT, **to_json(self)}

    @classmethod
    def from_json(cls, value: Any) -> Recipe:
        """What `to_json` gave, back; errors as `fields.from_json`, and `recipe_older`."""
        if isinstance(value, Mapping) and value.get("format") != FORMAT:
            raise MammoError(
                "recipe_older",
                "the recipe was written by version 0.1, whose fields were others",
                "Give the recipe's file to mammo-tf run again, into a new folder",
            )
        plain = (
            {name: item for name, item in value.items() if name != "format"} if isinstance(value, Mapping) else value
        )
        return from_json(cls, plain)


def load_recipe(path: str | Path, variant: str = "recipe") -> Recipe:
    """Runs a recipe file (Python) and calls its function `recipe`, or another variant's, which gives the recipe.

    Args:
        path: as `pipelines.find_recipe` takes it.
        variant: name of the function, `-` for `_`.

    Raises:
        MammoError: `file_missing`, `not_a_recipe`, `variant_unknown`.
    """
    return RecipeFile(path).made(variant, Recipe, "variant")
