"""The demonstration's sizes and recipes: a model of site 1, and its ways at site 2."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mammo_tf.experiments.study_recipes import HEAD, MIRRORED, from_patches, steady_stage
from mammo_tf.recipes.recipe import Phase, Preparation, Recipe, Training

HARMONISED, ADAPTED = "site_2_harmonised", "site_2_adapted"  # folders and models


@dataclass(frozen=True)
class DemoSize:
    """How large a demonstration is: patients of each group, and epochs of each stage.

    Attributes:
        source, source_validation: patients of site 1 alone.
        target, target_validation: patients of site 2 alone.
        test: patients seen by both sites, never trained on.
        patch, head, whole: epochs on site 1: patches, the head alone, everything.
        adapt_head, adapt_all: epochs on site 2.
    """

    source: int = 140
    source_validation: int = 40
    target: int = 60
    target_validation: int = 30
    test: int = 80
    patch: int = 13
    head: int = 2
    whole: int = 22
    adapt_head: int = 3
    adapt_all: int = 14


AVERAGE, WARM_UP = 0.98, 35  # of the trainings on site 1: over about 50 steps; an epoch of whole images
SHORT = DemoSize()
LONG = DemoSize(
    source=300, source_validation=80, target=120, target_validation=60, test=200,
    patch=10, head=3, whole=16, adapt_head=4, adapt_all=28,
)  # fmt: skip


def source_recipe(size: DemoSize) -> Recipe:
    """Patch stage, then the head, then everything, on site 1."""
    about = "VGG16 at an eighth of its width, trained on site 1: patches, then whole images"
    recipe = from_patches("site_1", about, (size.patch, size.head, size.whole))
    return replace(recipe, phases=tuple(map(_averaged, recipe.phases)))


def _averaged(phase: Phase) -> Phase:
    """The same, its weights averaged over the steps, and its rate rising at the start: steadier from seed to seed."""
    stages = tuple(replace(stage, average=AVERAGE, warm_up=WARM_UP) for stage in phase.stages)
    return replace(phase, stages=stages)


def harmonised_recipe(harmonising: Path) -> Recipe:
    """The model of site 1 as it is, behind harmonised pictures, its threshold chosen on validation of site 2."""
    return Recipe(
        name=HARMONISED,
        about="the model of site 1 on harmonised pictures of site 2",
        needs_start=True,
        preparation=Preparation(preset="start", mean="start", harmonising=str(harmonising)),
    )


def adaptation_recipe(size: DemoSize, harmonising: Path) -> Recipe:
    """Configuration 2 in its two stages, at rates of the demonstration's own, on harmonised pictures."""
    return Recipe(
        name=ADAPTED,
        about="the model of site 1, fine-tuned on harmonised pictures of site 2, configuration 2 at rates of its own",
        needs_start=True,
        preparation=Preparation(preset="start", mean="start", harmonising=str(harmonising)),
        training=Training(batch_size=16, augmentation=MIRRORED),
        phases=(
            Phase(
                stages=(
                    steady_stage("stage_1", HEAD, 1e-3, size.adapt_head, weight_decay=1e-4, dropout=0.1),
                    steady_stage("stage_2", ("all",), 5e-4, size.adapt_all, weight_decay=1e-4, dropout=0.1),
                )
            ),
        ),
    )
