"""BigAug: nine stacked transformations on one source; any network, here the U-Net."""

from mammo_tf.data import big_aug
from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import UNet
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """The published ranges on pictures of grey values from 0 to 1."""
    return source_recipe(size, "bigaug", "BigAug: U-Net on transformed tiles", UNet(width=size.width), big_aug())


ROW = Row(
    "bigaug", "BigAug", recipe,
    published=table_1((70.91, 79.66, 76.96, 29.15, 12.01), (71.70, 76.43, 74.26, 26.74, 11.85)),
)  # fmt: skip
