"""U-Net with the encoder of ResNet-34; the paper says *Resnet*, and nothing of how it segments."""

from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import ResNetUNet
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """From nothing, as every row."""
    return source_recipe(size, "resnet", "residual U-Net on the source alone", ResNetUNet(width=size.width))


ROW = Row(
    "resnet", "Resnet", recipe,
    published=table_1((46.45, 39.16, 37.25, 42.05, 16.76), (46.07, 47.46, 46.98, 35.32, 17.06)),
)  # fmt: skip
