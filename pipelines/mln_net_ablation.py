"""What each part of MLN-net brings: Table 3, Figures 8 and 9 of method B.

    mammo-tf tables mln-net -o mln-net --seed 1

makes Table 3 with the rows of Tables 1 and 2. One training serves all rows that differ in the choice of the branch.

| Table 3    | what                                        | DBT, DSC % / HD mm | FFDM, DSC % / HD mm |
|------------|---------------------------------------------|--------------------|---------------------|
| Basenet    | Swin-Unet                                   | 46.97 / 29.17      | 57.07 / 26.21       |
| Basenet-S  | and the domain images as plain augmentation | 67.48 / 25.06      | 70.93 / 24.33       |
| MLN-net-R  | and multiple normalisation, no choice       | 68.12 / 25.95      | 73.03 / 24.39       |
| Unet-R     | U-Net, multiple normalisation, no choice    | 53.62 / 30.10      | 53.03 / 31.75       |
| MLN-net-E  | Euclidean choice                            | 78.76 / 24.02      | 84.96 / 22.62       |
| Unet-E     |                                             | 66.18 / 25.44      | 66.12 / 25.39       |
| MLN-net    | choice by cosine                            | 77.91 / 23.32      | 85.52 / 20.49       |
| Unet*      |                                             | 68.99 / 26.47      | 69.07 / 24.76       |
| MLN-net-E+ | and the mean of the picture                 | 78.53 / 22.42      | 86.12 / 20.69       |
| MLN-net+   |                                             | 79.12 / 22.75      | 89.37 / 19.66       |

Beside MLN-net and Basenet the tables have the same trainings on harmonised pictures (docs/harmonising.md), which the
paper lacks.

Its recipes, one by one: `--variant no-choice`, `euclidean`, `euclidean-plus`, `cosine-plus`, `literal` (equation 20 to
the letter, which takes the least similar branch). Figure 8, pairs of Bezier curves: `mean-2`, `mean-3`, `random-1`,
`random-2`, `random-3`. Figure 9: `conventional` (crops, scales, flips) and `flipped` (flips alone) next to
`swin-unet` and `basenet-s` of mln_net.py.

    mammo-tf tables mln-net -o mln-net --seed 1 --rows mln_net_mean_2 mln_net_random_2 swin_unet_conventional

adds the rows of both figures to a folder of tables.
"""

from mammo_tf.experiments.mln_net.rows import mln_net, mln_net_pairs, swin_unet
from mammo_tf.experiments.mln_net.rows.row import chosen_by
from mammo_tf.experiments.mln_net.sizes import PAPER
from mammo_tf.recipes import Recipe


def recipe() -> Recipe:
    """MLN-net+, as `cosine_plus`."""
    return cosine_plus()


def no_choice() -> Recipe:
    """MLN-net-R: masks of all branches added up."""
    return chosen_by(mln_net.recipe(PAPER), "none")


def euclidean() -> Recipe:
    """MLN-net-E."""
    return chosen_by(mln_net.recipe(PAPER), "euclidean")


def euclidean_plus() -> Recipe:
    """MLN-net-E+: and the mean of the picture above its background."""
    return chosen_by(mln_net.recipe(PAPER), "euclidean+")


def cosine_plus() -> Recipe:
    """MLN-net+: and the mean of the picture above its background."""
    return chosen_by(mln_net.recipe(PAPER), "cosine+")


def literal() -> Recipe:
    """Equation 20 to the letter: the branch of the least similarity."""
    return chosen_by(mln_net.recipe(PAPER), "literal")


def conventional() -> Recipe:
    """Swin-Unet with crops, scales and flips (Figure 9)."""
    return swin_unet.conventional(PAPER)


def flipped() -> Recipe:
    """Swin-Unet with flips alone."""
    return swin_unet.flipped(PAPER)


def mean_2() -> Recipe:
    """Two pairs of curves, a = 0.25 and 0.5 (Figure 8)."""
    return mln_net_pairs.recipe(PAPER, "mean", 2)


def mean_3() -> Recipe:
    """Three pairs of curves."""
    return mln_net_pairs.recipe(PAPER, "mean", 3)


def random_1() -> Recipe:
    """One pair of curves, drawn for every picture."""
    return mln_net_pairs.recipe(PAPER, "random", 1)


def random_2() -> Recipe:
    """Two pairs of curves, drawn for every picture."""
    return mln_net_pairs.recipe(PAPER, "random", 2)


def random_3() -> Recipe:
    """Three pairs of curves, drawn for every picture."""
    return mln_net_pairs.recipe(PAPER, "random", 3)
