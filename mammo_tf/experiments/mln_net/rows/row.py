"""What a row of the tables is: a recipe, perhaps trained by another row, and what was published for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from mammo_tf.data import NO_AUGMENTATION, Augmentation, DomainSampling, TileSampling
from mammo_tf.data.domains import Look
from mammo_tf.experiments.mln_net.sizes import DBT, FFDM, MlnSize
from mammo_tf.experiments.mln_net.study import CLUSTERS
from mammo_tf.imaging.tiles import Tiling
from mammo_tf.models.networks import Description
from mammo_tf.recipes.recipe import Evaluation, Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage
from mammo_tf.training.tasks import Segmentation

Branches = tuple[tuple[Look, ...], ...]
FLIPPED = Augmentation(rotation=0.0, shift=0.0, zoom=0.0, horizontal_flip=True, vertical_flip=True)
CONVENTIONAL = Augmentation(
    rotation=0.0, shift=0.1, zoom=0.2, horizontal_flip=True, vertical_flip=True, interpolation="nearest"
)  # crops, scales and flips; specks of one pixel keep their contrast under nearest, not under linear interpolation
METRICS = ("tpr", "precision", "dsc", "hd", "asd")  # in the order of the paper's columns; rates in %, distances in mm
MODALITY = {FFDM: "FFDM", DBT: "DBT"}  # machine that is trained on -> the paper's word


@dataclass(frozen=True)
class Row:
    """One row.

    Attributes:
        key: in tables.json, and the folder of its runs.
        title: as the paper calls it.
        recipe: of a size.
        trained: key of the row whose training it takes over, and is then measured in another way; "" trains its own.
        published: source of the paper ("FFDM", "DBT") -> its numbers by the names of `METRICS`, on the other modality.
        harmonised: whether it is measured on pictures carried to the look of the source; then it takes over a training.
    """

    key: str
    title: str
    recipe: Callable[[MlnSize], Recipe]
    trained: str = ""
    published: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    harmonised: bool = False


def table_1(from_ffdm: tuple[float, ...], from_dbt: tuple[float, ...]) -> dict[str, dict[str, float]]:
    """Numbers of Table 1: TPR, precision, DSC, HD, ASD, trained on FFDM and trained on DBT."""
    pairs = (("FFDM", from_ffdm), ("DBT", from_dbt))
    return {source: dict(zip(METRICS, values, strict=True)) for source, values in pairs}


def table_3(from_ffdm: tuple[float, float], from_dbt: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Numbers of Table 3: DSC and HD."""
    pairs = (("FFDM", from_ffdm), ("DBT", from_dbt))
    return {source: dict(zip(("dsc", "hd"), values, strict=True)) for source, values in pairs}


def tiles(size: MlnSize, times: int = 1) -> TileSampling:
    """How tiles are sampled.

    Args:
        size: of the experiment.
        times: samples of an epoch over those of the other rows.
    """
    samples = None if size.samples is None else size.samples * times
    return TileSampling(Tiling(size.tile, size.tile, size.cut), samples)


def source_recipe(
    size: MlnSize,
    name: str,
    about: str,
    network: Description,
    augmentation: Augmentation = NO_AUGMENTATION,
    branches: Branches = (),
) -> Recipe:
    """A network on tiles of the source; every row starts from this.

    Args:
        size: of the experiment.
        name, about: of the recipe.
        network: what is trained.
        augmentation: of the tiles.
        branches: looks of each; a tile is seen once in each of them, and a batch counts it so.
    """
    plan = DomainSampling(tiles(size), branches) if branches else tiles(size)
    stage = Stage(
        "source", ("all",), size.rate, size.epochs, weight_decay=size.decay, decay=size.decay_kind, rate_patience=0,
        stop_patience=0, monitor="val_dice", warm_up=size.warm_up,
    )  # fmt: skip
    return Recipe(
        name=name,
        about=about,
        network=network,
        task=Segmentation(findings=CLUSTERS, loss=size.loss),
        preparation=Preparation(rows=size.rows, columns=size.columns, channels=1, mean=size.mean, white=1.0),
        training=Training(size.batch * max(1, len(branches)), augmentation, class_balance="balanced_sampling"),
        evaluation=Evaluation(replicates=size.replicates),
        phases=(Phase((stage,), plan),),
    )


def chosen_by(recipe: Recipe, metric: str) -> Recipe:
    """The recipe with branches chosen by another metric."""
    assert isinstance(recipe.task, Segmentation)
    name = f"{recipe.name}_{metric.replace('+', '_plus')}"
    return replace(recipe, name=name, task=replace(recipe.task, metric=metric))
