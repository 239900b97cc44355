"""MLN-net: Swin-Unet with a layer normalisation for each domain, and the closest domain's branch by cosine."""

from mammo_tf.experiments.mln_net.rows.row import Row, in_branches, source_recipe, table_1
from mammo_tf.experiments.mln_net.rows.swin_unet import network
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """Source, source-similar and source-dissimilar branches."""
    return in_branches(source_recipe(size, "mln_net", "MLN-net on the source and its other looks", network(size, 3)))


ROW = Row(
    "mln_net", "MLN-net", recipe,
    published=table_1((78.43, 81.02, 78.91, 23.32, 6.72), (85.49, 88.75, 86.52, 20.49, 5.96)),
)  # fmt: skip
