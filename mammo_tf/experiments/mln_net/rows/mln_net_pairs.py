"""MLN-net with more pairs of Bezier curves in its branch of similar pictures, or drawn ones (Figure 8)."""

from __future__ import annotations

from functools import partial

from mammo_tf.data.domains import mean_pairs, random_pairs
from mammo_tf.experiments.mln_net.rows.row import Row, source_recipe
from mammo_tf.experiments.mln_net.rows.swin_unet import network
from mammo_tf.experiments.mln_net.sizes import MlnSize
from mammo_tf.recipes.recipe import Recipe

CHOICES = {"random": random_pairs, "mean": mean_pairs}
PAIRS = {"random": (1, 2, 3), "mean": (2, 3)}  # one pair by Mean has a = 0.5, which changes no grey value


def recipe(size: MlnSize, choice: str, count: int) -> Recipe:
    """MLN-net with other curves.

    Args:
        size: of the experiment.
        choice: "random", a of each pair drawn for every picture, or "mean", a_n = 0.5 n / count.
        count: of pairs.
    """
    branches = CHOICES[choice](count)
    about = f"MLN-net, {count} pairs of curves, {choice} choice"
    return source_recipe(size, key(choice, count), about, network(size, len(branches)), branches=branches)


def key(choice: str, count: int) -> str:
    """Of the row with so many pairs."""
    return f"mln_net_{choice}_{count}"


ROWS = tuple(
    Row(key(choice, count), f"MLN-net, {choice} {count}", partial(recipe, choice=choice, count=count))
    for choice, counts in PAIRS.items()
    for count in counts
)
