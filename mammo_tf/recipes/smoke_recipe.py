"""The smoke run of a recipe: the same road, small."""

from __future__ import annotations

from dataclasses import replace

from mammo_tf.data import ImagePatchSampling, TileSampling
from mammo_tf.recipes.recipe import Phase, Recipe

SMOKE_SIZE, SMOKE_BATCH = (128, 128), 8
SMOKE_CANVAS = (192, 160)  # where pictures keep their pixels


def smoke_size(recipe: Recipe) -> tuple[int, int]:
    """Rows and columns of the prepared pictures of a smoke run."""
    return SMOKE_CANVAS if isinstance(recipe.scoring, ImagePatchSampling | TileSampling) else SMOKE_SIZE


def smoke(recipe: Recipe) -> Recipe:
    """The same road in about twenty seconds: 128x128 pixels or 32x32 of patches, small networks, one epoch a stage.

    Args:
        recipe: any.
    """

    def short(phase: Phase) -> Phase:
        return replace(
            phase,
            stages=tuple(replace(stage, epochs=1) for stage in phase.stages),
            plan=phase.plan.small(),
            network=None if phase.network is None else phase.network.small(),
            batch_size=None if phase.batch_size is None else SMOKE_BATCH,
        )

    rows, columns = smoke_size(recipe)
    return replace(
        recipe,
        name=f"{recipe.name}-smoke",
        phases=tuple(map(short, recipe.phases)),
        network=recipe.network.small(),
        preparation=replace(recipe.preparation, rows=rows, columns=columns),
        training=replace(recipe.training, batch_size=SMOKE_BATCH),
        evaluation=replace(
            recipe.evaluation,
            replicates=100,
            plan=None if recipe.evaluation.plan is None else recipe.evaluation.plan.small(),
        ),
    )
