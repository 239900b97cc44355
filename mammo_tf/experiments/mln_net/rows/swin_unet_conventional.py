"""Swin-Unet on cropped, scaled and flipped tiles of the source, conventional augmentation: a bar of Figure 9."""

from mammo_tf.experiments.mln_net.rows import swin_unet
from mammo_tf.experiments.mln_net.rows.row import Row

ROW = Row("swin_unet_conventional", "Swin-Unet, conventional", swin_unet.conventional)
