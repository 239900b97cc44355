"""The rows of Tables 1 to 3, each one file; a further one is a file and a line here.

Tables 1 and 2 have six more, whose place is here: CS-net, Iadml, Musn, CA-net, DoFE, FedDG. Two rows the paper lacks:
harmonised pictures in front of Swin-Unet and of MLN-net.
Figures 8 and 9 have rows of their own, and SADN one whose statistics drift; they are run where they are asked for.
"""

from mammo_tf.experiments.mln_net.rows import (
    basenet_s,
    bigaug,
    harmonised,
    mln_net,
    mln_net_choices,
    mln_net_pairs,
    mnet,
    resnet,
    sadn,
    swin_unet,
    swin_unet_conventional,
    swin_unet_flipped,
    unet,
    unet_branches,
)
from mammo_tf.experiments.mln_net.rows.row import METRICS, MODALITY, Row

ROWS: tuple[Row, ...] = (
    unet.ROW, resnet.ROW, mnet.ROW, swin_unet.ROW, harmonised.SWIN_UNET, bigaug.ROW, sadn.ROW, basenet_s.ROW,
    *unet_branches.ROWS, mln_net.ROW, harmonised.MLN_NET, *mln_net_choices.ROWS,
)  # fmt: skip
AUGMENTATION_ROWS = (swin_unet_flipped.ROW, swin_unet_conventional.ROW)  # of Figure 9, with swin_unet and basenet_s
CURVE_ROWS = mln_net_pairs.ROWS  # of Figure 8, beside mln_net
EVERY_ROW = (*ROWS, sadn.DRIFTING, *AUGMENTATION_ROWS, *CURVE_ROWS)

__all__ = ["AUGMENTATION_ROWS", "CURVE_ROWS", "EVERY_ROW", "METRICS", "MODALITY", "ROWS", "Row"]
