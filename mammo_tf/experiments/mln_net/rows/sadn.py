"""SADN: similar and dissimilar looks of the source in turn, a batch normalisation for each (dual normalisation)."""

from dataclasses import replace

from mammo_tf.data import DomainSampling
from mammo_tf.data.domains import DUAL_BRANCHES
from mammo_tf.experiments.mln_net.rows.row import Row, chosen_by, source_recipe, table_1, tiles
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import SmallUNet
from mammo_tf.models.answers import LARGER
from mammo_tf.models.branch_network import DUAL
from mammo_tf.recipes.recipe import Recipe
from mammo_tf.training.tasks import Segmentation

WIDTH = 16  # published; a smaller size of the experiment has less


def recipe(size: MlnSize) -> Recipe:
    """As published: two optimiser's steps for each batch of the source, one a branch; Dice of a sigmoid a class.

    The larger sigmoid says what a pixel is, and a tile is normalised by its own statistics.
    """
    network = SmallUNet(2, min(size.width, WIDTH), "batch", len(DUAL_BRANCHES), own_statistics=True)
    about = "SADN: dual normalisation of the source's looks"
    one = chosen_by(source_recipe(size, "sadn", about, network, branches=DUAL_BRANCHES), DUAL)
    assert isinstance(one.task, Segmentation)
    task = replace(one.task, loss="class_dice", answer=LARGER)
    phase = replace(one.phases[0], plan=DomainSampling(tiles(size), DUAL_BRANCHES, run=size.batch))
    training = replace(one.training, batch_size=size.batch)
    return replace(one, name="sadn", task=task, training=training, phases=(phase,))


def drifting(size: MlnSize) -> Recipe:
    """Measured as published: statistics move with every batch of test tiles, whose branch is chosen for all of it."""
    one = recipe(size)
    assert isinstance(one.task, Segmentation)
    return replace(one, name="sadn_drift", task=replace(one.task, drift=True, choice="piece"))


DRIFTING = Row("sadn_drift", "Sadn, drifting", drifting, "sadn")
ROW = Row(
    "sadn", "Sadn", recipe,
    published=table_1((79.36, 81.97, 74.95, 27.78, 9.20), (83.06, 78.84, 87.25, 23.80, 7.67)),
)  # fmt: skip
