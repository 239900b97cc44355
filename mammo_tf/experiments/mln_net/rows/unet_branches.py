"""U-Net with a layer normalisation for each branch, three rows of Table 3 (`Unet*`, E, R); one training serves all."""

from mammo_tf.data.domains import PAPER_BRANCHES
from mammo_tf.experiments.mln_net.rows.row import Row, chosen_by, source_recipe, table_3
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import UNet
from mammo_tf.recipes.recipe import Recipe

TRAINED = "unet_branches"


def recipe(size: MlnSize) -> Recipe:
    """The branches of MLN-net, the closest by cosine."""
    network = UNet(width=size.width, norm="layer", branches=len(PAPER_BRANCHES))
    about = "U-Net on the source and its other looks, in branches"
    return source_recipe(size, TRAINED, about, network, branches=PAPER_BRANCHES)


ROWS = (
    Row(TRAINED, "Unet*", recipe, published=table_3((68.99, 26.47), (69.07, 24.76))),
    Row(
        "unet_branches_r", "Unet-R", lambda size: chosen_by(recipe(size), "none"), TRAINED,
        table_3((53.62, 30.10), (53.03, 31.75)),
    ),
    Row(
        "unet_branches_e", "Unet-E", lambda size: chosen_by(recipe(size), "euclidean"), TRAINED,
        table_3((66.18, 25.44), (66.12, 25.39)),
    ),
)  # fmt: skip
