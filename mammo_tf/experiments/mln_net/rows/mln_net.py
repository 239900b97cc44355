"""MLN-net: Swin-Unet with a layer normalisation for each domain, and the closest domain's branch by cosine."""

from mammo_tf.data.domains import PAPER_BRANCHES
from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.rows.swin_unet import network
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """Source, source-similar and source-dissimilar branches."""
    about = "MLN-net on the source and its other looks"
    return source_recipe(size, "mln_net", about, network(size, len(PAPER_BRANCHES)), branches=PAPER_BRANCHES)


ROW = Row(
    "mln_net", "MLN-net", recipe,
    published=table_1((78.43, 81.02, 78.91, 23.32, 6.72), (85.49, 88.75, 86.52, 20.49, 5.96)),
)  # fmt: skip
