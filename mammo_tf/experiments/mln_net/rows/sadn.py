"""SADN: similar and dissimilar looks of the source in turn, a batch normalisation for each (dual normalisation)."""

from dataclasses import replace

from mammo_tf.data import DomainSampling
from mammo_tf.data.domains import DUAL_BRANCHES
from mammo_tf.experiments.mln_net.rows.row import Row, chosen_by, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import SmallUNet
from mammo_tf.models.branch_network import DUAL
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """Two optimiser's steps for each batch of the source, one a branch, as published."""
    network = SmallUNet(width=size.width, norm="batch", branches=len(DUAL_BRANCHES))
    one = chosen_by(source_recipe(size, "sadn", "SADN: dual normalisation of the source's looks", network), DUAL)
    plan = DomainSampling(one.phases[0].plan, DUAL_BRANCHES, run=one.training.batch_size)
    return replace(one, name="sadn", phases=(replace(one.phases[0], plan=plan),))


ROW = Row(
    "sadn", "Sadn", recipe,
    published=table_1((79.36, 81.97, 74.95, 27.78, 9.20), (83.06, 78.84, 87.25, 23.80, 7.67)),
)  # fmt: skip
