"""U-Net with batch normalisation on tiles of the source as they are."""

from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import UNet
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """The paper names neither width nor normalisation."""
    return source_recipe(size, "unet", "U-Net on the source alone", UNet(width=size.width))


ROW = Row(
    "unet", "Unet", recipe, published=table_1((48.52, 35.77, 37.32, 51.97, 20.65), (52.32, 36.74, 43.63, 44.64, 21.91))
)
