"""MLN-net with its branch chosen in other ways, or not at all; one training serves all of them (Table 3)."""

from mammo_tf.experiments.mln_net.rows.mln_net import recipe
from mammo_tf.experiments.mln_net.rows.row import Row, chosen_by, table_3

TRAINED = "mln_net"
ROWS = (
    Row(
        "mln_net_r", "MLN-net-R", lambda size: chosen_by(recipe(size), "none"), TRAINED,
        table_3((68.12, 25.95), (73.03, 24.39)),
    ),
    Row(
        "mln_net_e", "MLN-net-E", lambda size: chosen_by(recipe(size), "euclidean"), TRAINED,
        table_3((78.76, 24.02), (84.96, 22.62)),
    ),
    Row(
        "mln_net_e_plus", "MLN-net-E+", lambda size: chosen_by(recipe(size), "euclidean+"), TRAINED,
        table_3((78.53, 22.42), (86.12, 20.69)),
    ),
    Row(
        "mln_net_plus", "MLN-net+", lambda size: chosen_by(recipe(size), "cosine+"), TRAINED,
        table_3((79.12, 22.75), (89.37, 19.66)),
    ),
)  # fmt: skip
