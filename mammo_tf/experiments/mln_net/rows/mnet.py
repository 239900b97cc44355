"""M-net: the picture at four scales, supervision at four depths; without normalisation, as published."""

from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import MNet
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """Half the width of a U-Net's first level, as published."""
    return source_recipe(size, "mnet", "M-net on the source alone", MNet(width=max(1, size.width // 2)))


ROW = Row(
    "mnet", "M-net", recipe,
    published=table_1((57.13, 60.22, 55.56, 30.47, 13.10), (52.71, 65.97, 59.41, 25.98, 13.76)),
)  # fmt: skip
