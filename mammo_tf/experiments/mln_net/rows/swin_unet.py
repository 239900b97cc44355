"""Swin-Unet on tiles of the source as they are; *Basenet* of Table 3."""

from mammo_tf.experiments.mln_net.rows.row import CONVENTIONAL, FLIPPED, Row, source_recipe, table_1
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.models import SwinUnet
from mammo_tf.recipes.recipe import Recipe


def network(size: MlnSize, branches: int = 1) -> SwinUnet:
    """The network that all rows with windows of attention share."""
    return SwinUnet(
        embed_dim=size.embed_dim,
        depths=size.depths,
        heads=size.heads,
        window=size.window,
        branches=branches,
        drop_path=size.drop_path,
    )


def recipe(size: MlnSize) -> Recipe:
    """Without any augmentation."""
    return source_recipe(size, "swin_unet", "Swin-Unet on the source alone", network(size))


def flipped(size: MlnSize) -> Recipe:
    """With flips alone, beside Figure 9."""
    return source_recipe(size, "swin_unet_flipped", "Swin-Unet, flips", network(size), FLIPPED)


def conventional(size: MlnSize) -> Recipe:
    """With conventional augmentation, crops, scales and flips (Figure 9); the paper has no ranges."""
    about = "Swin-Unet, conventional augmentation"
    return source_recipe(size, "swin_unet_conventional", about, network(size), CONVENTIONAL)


ROW = Row(
    "swin_unet", "Swin-Unet", recipe,
    published=table_1((50.09, 46.41, 46.97, 29.17, 13.78), (53.65, 51.80, 57.07, 26.21, 13.74)),
)  # fmt: skip
