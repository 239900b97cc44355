"""Swin-Unet with the other looks of the source as plain augmentation: *Basenet-S* of Table 3."""

from dataclasses import replace

from mammo_tf.data import NO_AUGMENTATION, SourceLooks
from mammo_tf.data.domains import PAPER_BRANCHES
from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe, table_3, tiles
from mammo_tf.experiments.mln_net.rows.swin_unet import network
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.recipes.recipe import Recipe


def recipe(size: MlnSize) -> Recipe:
    """As many steps as MLN-net takes, with as many pictures in each."""
    count = len(PAPER_BRANCHES)
    looks = replace(NO_AUGMENTATION, intensity=(SourceLooks(),))
    one = source_recipe(size, "basenet_s", "Swin-Unet on the source and its other looks", network(size), looks)
    training = replace(one.training, batch_size=one.training.batch_size * count)
    return replace(one, training=training, phases=(replace(one.phases[0], plan=tiles(size, count)),))


ROW = Row("basenet_s", "Basenet-S", recipe, published=table_3((67.48, 25.06), (70.93, 24.33)))
