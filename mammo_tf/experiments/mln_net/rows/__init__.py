"""The rows of Tables 1 to 3, each one file; a further one is a file and a line here.

Tables 1 and 2 have six more, whose place is here: CS-net, Iadml, Musn, CA-net, DoFE, FedDG. So is that of a row that
the paper lacks: harmonised pictures in front of Swin-Unet and of MLN-net.
"""

from mammo_tf.experiments.mln_net.rows import (
    basenet_s,
    bigaug,
    mln_net,
    mln_net_choices,
    mnet,
    resnet,
    sadn,
    swin_unet,
    unet,
    unet_branches,
)
from mammo_tf.experiments.mln_net.rows.row import METRICS, Row

ROWS: tuple[Row, ...] = (
    unet.ROW, resnet.ROW, mnet.ROW, swin_unet.ROW, bigaug.ROW, sadn.ROW, basenet_s.ROW,
    *unet_branches.ROWS, mln_net.ROW, *mln_net_choices.ROWS,
)  # fmt: skip

__all__ = ["METRICS", "ROWS", "Row"]
