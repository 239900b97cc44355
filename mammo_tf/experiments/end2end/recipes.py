"""The recipes of the thesis's tables (METHODS, section C), and how large the experiment is.

Two families of rates. `TABLE_6`: the thesis's own; at the size of the synthetic study its stage 2 (2e-7) moves nothing.
`OWN`: rates, dropout and mirroring that were fixed for the demonstration, before this experiment was ever run. What
model 1's patches need was set after a first run that learned nothing on film, on validation of the source alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mammo_tf.data import Augmentation
from mammo_tf.experiments.study_recipes import HEAD, MIRRORED, SIZE, SPACING_MM, from_patches, steady_stage
from mammo_tf.imaging.intensity_steps import SubtractMean
from mammo_tf.recipes.recipe import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.training import ModelFile, Stage

TABLE_6, OWN = "table_6", "own"
FAMILIES = {TABLE_6: "Table 6's rates", OWN: "own rates"}
TRAINABLE = {1: ("block_2", "output"), 2: HEAD}  # of stage 1, by configuration
TABLE_7 = Augmentation(rotation=10, shift=0.05, zoom=0.1, horizontal_flip=True)
FILM_PATCH_RATE = (
    3e-4  # at the demonstration's 1e-3 patches of film were not learned (validation AUC 0.74 against 0.94)
)
OWN_RATES, OWN_DROPOUT = (1e-3, 5e-4), 0.1  # those of experiments.demo


@dataclass(frozen=True)
class ThesisSize:
    """How large the experiment is.

    Attributes:
        source_1, source_2: patients of the two source sites: train, validation, test.
        pairs: matched pairs at the target.
        spacing_mm: of the synthetic study.
        rows, columns: of a picture.
        width: fraction of the network's filters.
        patch_pixels: side of a patch.
        from_patches: epochs of source model 1: patches, head, everything.
        further: epochs of source model 2 on site 2 of the sources: head, everything.
        table_6: epochs at most, of the two stages at Table 6's rates.
        own: epochs of the two stages at own rates.
        families: which families of rates are run.
        classifier: settings of the patient classifiers that differ from the thesis's.
        replicates: of the bootstrap.
    """

    source_1: tuple[int, int, int] = (220, 50, 70)
    source_2: tuple[int, int, int] = (120, 40, 70)
    pairs: int = 191
    spacing_mm: float = SPACING_MM
    rows: int = SIZE[0]
    columns: int = SIZE[1]
    width: float = 1 / 8
    patch_pixels: int = 64
    from_patches: tuple[int, int, int] = (12, 2, 12)
    further: tuple[int, int] = (2, 10)
    table_6: tuple[int, int] = (10, 4)
    own: tuple[int, int] = (3, 8)
    families: tuple[str, ...] = (TABLE_6, OWN)
    classifier: tuple[tuple[str, str], ...] = ()
    replicates: int = 2000


PHANTOM = ThesisSize()
# Real collections and published models: the thesis's own epochs, and its rates alone
COLLECTIONS = replace(PHANTOM, table_6=(50, 30), families=(TABLE_6,))
SMOKE = ThesisSize(
    source_1=(6, 4, 4), source_2=(4, 4, 4), pairs=10, spacing_mm=1.2, rows=128, columns=128, width=1 / 32,
    patch_pixels=32, from_patches=(1, 1, 1), further=(1, 1), table_6=(1, 1), own=(1, 1),
    classifier=(("components", "3"), ("trees", "10"), ("leaf", "2")), replicates=50,
)  # fmt: skip


def source_1_recipe(size: ThesisSize = PHANTOM) -> Recipe:
    """Source model 1: from patches, on site 1 of the sources."""
    about = "source model 1: patches, then whole images, on site 1 of the sources"
    return from_patches("source_1", about, size.from_patches, size.width, size.patch_pixels, FILM_PATCH_RATE)


def source_2_recipe(size: ThesisSize = PHANTOM) -> Recipe:
    """Source model 2, the baseline: model 1 trained on at site 2 of the sources."""
    head, whole = size.further
    return Recipe(
        name="source_2",
        about="source model 2, the baseline: model 1 trained on at site 2 of the sources",
        needs_start=True,
        preparation=Preparation(preset="start", mean="training"),
        training=Training(batch_size=16, augmentation=MIRRORED),
        phases=(
            Phase(
                stages=(
                    steady_stage("further_head", HEAD, 1e-3, head, weight_decay=1e-4),
                    steady_stage("further_whole", ("all",), 5e-4, whole, weight_decay=1e-4),
                )
            ),
        ),
    )


def configuration(number: int, family: str = TABLE_6, size: ThesisSize = PHANTOM) -> Recipe:
    """Configuration 1 or 2 as the text has it, at one family of rates."""
    recipe = Recipe(
        name=f"config_{number}_{family}",
        about=f"configuration {number} on the target, {FAMILIES[family]}",
        needs_start=True,
        preparation=Preparation(preset="start", mean="start"),
        training=Training(batch_size=16, augmentation=TABLE_7),
        phases=(
            Phase(
                stages=(
                    Stage("stage_1", TRAINABLE[number], 2e-4, size.table_6[0], weight_decay=1e-4, dropout=0.2),
                    Stage("stage_2", ("all",), 2e-7, size.table_6[1], weight_decay=1.5e-3, dropout=0.5),
                )
            ),
        ),
    )
    return _at_own_rates(recipe, size, weight_decay=1e-4) if family == OWN else recipe


def as_run(origin: ModelFile | None, family: str = TABLE_6, size: ThesisSize = PHANTOM) -> Recipe:
    """Both configurations as the public repository ran them: they train the same layers (docs/decisions.md).

    What pipelines/end2end_finetune_config1.py and 2 say as constants of the authors' cohort is measured here: the mean
    that training subtracts is the target's, the one in inference that of the start model.

    Args:
        origin: the start model; None leaves its mean out.
        family: of rates.
        size: epochs.
    """

    def stage(name: str, trainable: tuple[str, ...], rate: float, epochs: int, dropout: float) -> Stage:
        return Stage(
            name, trainable, rate, epochs, weight_decay=1.5e-3, dropout=dropout, rate_factor=0.2, rate_floor=1e-6,
            batch_norm=False, keep="val_auc",
        )  # fmt: skip

    recipe = Recipe(
        name=f"as_run_{family}",
        about=f"configurations 1 and 2 on the target as the public repository ran them, {FAMILIES[family]}",
        needs_start=True,
        preparation=Preparation(preset="start", mean="training"),
        evaluation=Evaluation(mean=None if origin is None else subtracted_mean(origin)),
        training=Training(batch_size=8, augmentation=replace(TABLE_7, fill="nearest"), class_balance="batch_weights"),
        phases=(
            Phase(
                stages=(
                    stage("stage_1", TRAINABLE[1], 2e-4, size.table_6[0], 0.2),
                    stage("stage_2", ("all",), 2e-7, size.table_6[1], 0.5),
                )
            ),
        ),
    )
    return _at_own_rates(recipe, size, weight_decay=1.5e-3) if family == OWN else recipe


def _at_own_rates(recipe: Recipe, size: ThesisSize, weight_decay: float) -> Recipe:
    stages = tuple(
        replace(
            stage, rate=rate, epochs=epochs, weight_decay=weight_decay, dropout=OWN_DROPOUT, stop_patience=0,
            rate_patience=0, monitor="val_auc",
        )
        for stage, rate, epochs in zip(recipe.stages, OWN_RATES, size.own, strict=True)
    )  # fmt: skip
    return replace(recipe, phases=(Phase(stages),), training=replace(recipe.training, augmentation=MIRRORED))


def subtracted_mean(origin: ModelFile) -> float | None:
    """What a model subtracts from its pictures; None where it does not say."""
    steps = () if origin.preprocessing is None else origin.preprocessing.intensity_steps
    means = [step.mean for step in steps if isinstance(step, SubtractMean)]
    return float(means[0]) if means else None
