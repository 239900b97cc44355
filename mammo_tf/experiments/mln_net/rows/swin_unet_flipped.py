"""Swin-Unet on flipped tiles of the source: conventional augmentation without a warp, beside Figure 9."""

from mammo_tf.experiments.mln_net.rows import swin_unet
from mammo_tf.experiments.mln_net.rows.row import Row

ROW = Row("swin_unet_flipped", "Swin-Unet, flips", swin_unet.flipped)
