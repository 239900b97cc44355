"""Rungs that fit weights to labelled patients of the site: a recipe each, run from the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammo_tf.adaptation.ladder_settings import LadderSettings
from mammo_tf.adaptation.rungs.harmonised import harmonising_of, unfit_to_harmonise
from mammo_tf.adaptation.rungs.rung import FROM_VALIDATION, LABELS, Climbed, Say, Site
from mammo_tf.errors import MammoError
from mammo_tf.models import SpotTune, description_of
from mammo_tf.models.groups import matching_layers, set_trainable
from mammo_tf.models.networks import branches_of
from mammo_tf.models.rebuild import rebuild
from mammo_tf.models.residual import Residual
from mammo_tf.recipes.recipe import Phase, Preparation, Recipe
from mammo_tf.recipes.runner import train
from mammo_tf.recipes.scores import plan_of
from mammo_tf.training import ModelFile, Stage

Unfit = Callable[[ModelFile, Sequence[Stage]], str]
Stages = Callable[[LadderSettings], tuple[Stage, ...]]


def parts_missing(model: ModelFile, stages: Sequence[Stage]) -> str:
    """Which part that a stage trains the network has not got; empty where it has all."""
    try:
        for stage in stages:
            matching_layers(model.model, stage.trainable)
            set_trainable(rebuild(model.model), stage.trainable, stage.batch_norm)
    except MammoError as error:
        return error.sentence
    return ""


def no_residual_blocks(model: ModelFile, stages: Sequence[Stage]) -> str:
    """Why SpotTune has nothing to double; empty where it has."""
    said = description_of(model.model)
    if isinstance(said, Residual) and said.residual_stages():
        return ""
    return "the network has no residual blocks, which SpotTune doubles"


@dataclass(frozen=True)
class Fitted:
    """Weights fitted to labelled training patients, the best epoch on validation kept.

    Attributes:
        name, title: see `Rung`.
        stages: of the training, given the ladder's settings.
        lacking: why a model cannot be trained so.
        spottune: whether residual blocks are doubled first.
        on_harmonised: whether it trains on, and is served, harmonised pictures.
    """

    name: str
    title: str
    stages: Stages
    lacking: Unfit = parts_missing
    spottune: bool = False
    on_harmonised: bool = False
    needs: str = LABELS
    trains: bool = True

    def unfit(self, site: Site) -> str:
        """See `Rung`."""
        if branches_of(site.model.model) > 1:
            return "a network of several branches trains on looks of its own making: train it by its recipe"
        if not site.both_classes_in_training:
            return "training patients of the site with labels of both classes are wanted"
        return self.lacking(site.model, self.stages(site.settings)) or (
            unfit_to_harmonise(site) if self.on_harmonised else ""
        )

    def climb(self, site: Site, folder: Path, say: Say) -> Climbed:
        """See `Rung`."""
        trained = train(self.recipe(site), folder, site.records, site.start, say=say)
        return Climbed(ModelFile(trained.model, trained.card), FROM_VALIDATION, weights_changed=True)

    def recipe(self, site: Site) -> Recipe:
        """The recipe that is run."""
        preparation = Preparation(preset="start", mean="start", channels=int(site.model.model.inputs[0].shape[-1]))
        if self.on_harmonised:
            preparation = replace(preparation, harmonising=str(harmonising_of(site)))
        recipe = replace(
            site.recipe,
            name=self.name,
            about=self.title,
            needs_start=True,
            preparation=preparation,
            training=site.settings.training,
            phases=(
                Phase(self.stages(site.settings), plan_of(site.model.card, site.settings.samples, site.settings.draws)),
            ),
        )
        said = description_of(site.model.model)
        return replace(recipe, network=SpotTune(said)) if self.spottune and said is not None else recipe


def first(*parts: str, **changed: bool) -> Stages:
    """One stage as `settings.first`, of these parts."""
    return lambda settings: (replace(settings.first, trainable=parts, **changed),)  # type: ignore[arg-type]


def staged(*parts: str) -> Stages:
    """The parts first, then everything."""
    return lambda settings: (
        replace(settings.first, trainable=parts),
        replace(settings.second, trainable=("all",)),
    )


def everything(settings: LadderSettings) -> tuple[Stage, ...]:
    """All weights at once."""
    return (replace(settings.second, trainable=("all",)),)


def on_harmonised(rung: Fitted) -> Fitted:
    """The same, trained on harmonised pictures."""
    return replace(rung, name=f"{rung.name}_harmonised", title=f"{rung.title}, harmonised", on_harmonised=True)
