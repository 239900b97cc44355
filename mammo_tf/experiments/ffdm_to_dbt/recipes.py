"""The recipes behind the seven rows of Table 2, and how large the experiment is.

The paper's numbers (`PAPER`): patches of 1024 pixels seen at 512, the network of 29 layers, Adam at 5e-5, 100 epochs of
40,000 samples. `PHANTOM` is what two cores finish: rates, epochs and sizes were set before the experiment was first
run, on validation of the mammograms of another seed, and on nothing of tomosynthesis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mammo_tf.data import Augmentation, GaussianNoise, ImagePatchSampling
from mammo_tf.experiments.study_recipes import steady_stage
from mammo_tf.models import ResNetPatch, SpotTune
from mammo_tf.recipes.recipe import Evaluation, Phase, Preparation, Recipe, Training

FFDM, DBT = "FFDM", "DBT"
SITES = {FFDM: "ffdm_site_1", DBT: "dbt"}


@dataclass(frozen=True)
class PaperSize:
    """How large the experiment is.

    Attributes:
        mammograms_only: patients of training who have mammograms alone.
        both: patients who have both modalities: train, validation, test.
        spacing_mm: of the synthetic study.
        patch: pixels of a patch in the image; seen: in front of the network.
        blocks, width: of the network.
        samples: patches of an epoch on mammograms, and of one on tomosynthesis.
        epochs: on mammograms, of the last layer alone, of SpotTune.
        rates: learning rates of the same three.
        decays: weight decay on mammograms, and of the adaptations.
        shift_pixels: standard deviation of the translation.
        draws: of patches at test time.
        matched: images behind the average c.d.f. of mammograms, and of tomosynthesis.
        replicates: of the bootstrap.
    """

    mammograms_only: int = 180
    both: tuple[int, int, int] = (60, 40, 120)
    spacing_mm: float = 0.6
    patch: int = 64
    seen: int = 64
    blocks: tuple[int, ...] = (2, 3, 4)
    width: int = 16
    samples: tuple[int, int] = (4000, 1500)
    epochs: tuple[int, int, int] = (10, 6, 8)
    rates: tuple[float, float, float] = (1e-3, 1e-3, 3e-4)
    decays: tuple[float, float] = (5e-4, 1e-4)
    shift_pixels: float = 2.0
    draws: int = 3
    matched: tuple[int, int] = (300, 150)
    replicates: int = 2000


PHANTOM = PaperSize()
PAPER = replace(
    PHANTOM, patch=1024, seen=512, width=64, samples=(40_000, 40_000), epochs=(100, 100, 100), rates=(5e-5, 5e-5, 5e-5),
    shift_pixels=20.0, matched=(1200, 600),
)  # fmt: skip
SMOKE = replace(
    PHANTOM, mammograms_only=4, both=(6, 4, 6), spacing_mm=1.2, patch=32, seen=32, blocks=(1, 1), width=4,
    samples=(32, 32), epochs=(1, 1, 1), draws=2, matched=(6, 6), replicates=50,
)  # fmt: skip


def base_recipe(size: PaperSize = PHANTOM) -> Recipe:
    """The base model: patches of mammograms, from nothing (sections 2.2 and 2.3)."""
    return Recipe(
        name="base",
        about="the base model: patches of mammograms, from nothing",
        network=ResNetPatch(size.blocks, size.width),
        preparation=Preparation(preset="native", mean=0.0, channels=1),
        training=_training(size),
        evaluation=_evaluation(size),
        phases=(_phase(size, "base", ("all",), 0),),
    )


def last_layer_recipe(size: PaperSize = PHANTOM) -> Recipe:
    """Conventional fine-tuning: the dense layer alone (section 2.4.2)."""
    return Recipe(
        name="last_layer",
        about="fine-tuning of the last layer on projections of tomosynthesis",
        needs_start=True,
        network=ResNetPatch(size.blocks, size.width),
        preparation=Preparation(preset="start", mean="start", channels=1),
        training=_training(size),
        evaluation=_evaluation(size),
        phases=(_phase(size, "last_layer", ("output",), 1),),
    )


def spottune_recipe(size: PaperSize = PHANTOM) -> Recipe:
    """SpotTune: every residual block twice, chosen for each patch (section 2.4.2); drawn at test time, as published."""
    base = last_layer_recipe(size)
    return replace(
        base,
        name="spottune",
        about="SpotTune on projections of tomosynthesis",
        network=SpotTune(ResNetPatch(size.blocks, size.width), test_policy="drawn"),
        phases=(_phase(size, "spottune", ("all",), 2),),
    )


def scored_recipe(size: PaperSize = PHANTOM) -> Recipe:
    """How a model is measured that is not trained further."""
    return Recipe(name="scored", about="", evaluation=replace(_evaluation(size), plan=_plan(size, 0)))


def _plan(size: PaperSize, number: int) -> ImagePatchSampling:
    samples = size.samples[min(number, 1)]
    return ImagePatchSampling(size.seen, size.seen, pixels=size.patch, samples=samples, draws=size.draws)


def _training(size: PaperSize) -> Training:
    augmentation = Augmentation(
        rotation=30, shift=0, zoom=0, horizontal_flip=True, vertical_flip=True, shift_pixels=size.shift_pixels,
        intensity=(GaussianNoise(deviation=1 / 4095),),
    )  # fmt: skip
    return Training(batch_size=16, augmentation=augmentation, class_balance="balanced_sampling")


def _evaluation(size: PaperSize) -> Evaluation:
    return Evaluation(replicates=size.replicates)


def _phase(size: PaperSize, name: str, trainable: tuple[str, ...], number: int) -> Phase:
    decay = size.decays[min(number, 1)]
    stage = steady_stage(name, trainable, size.rates[number], size.epochs[number], weight_decay=decay)
    return Phase(stages=(replace(stage, decay="coupled"),), plan=_plan(size, number))
