"""Swin-Unet and MLN-net on harmonised pictures: rows that the paper lacks. They take over a training and change none.

Each machine's test pictures are carried to the look of the source's, by a curve and by contrast at each scale. Both
were fitted without a label on other women (docs/harmonising.md). On the source itself it is to do no harm.
"""

from mammo_tf.experiments.mln_net.rows import mln_net, swin_unet
from mammo_tf.experiments.mln_net.rows.row import Row

SWIN_UNET = Row("swin_unet_harmonised", "Swin-Unet, harmonised", swin_unet.recipe, "swin_unet", harmonised=True)
MLN_NET = Row("mln_net_harmonised", "MLN-net, harmonised", mln_net.recipe, "mln_net", harmonised=True)
