"""MLN-net and what it is compared with: clusters of microcalcifications on machines never seen (method B, Tables 1, 2).

    mammo-tf tables mln-net -o mln-net --seed 1 --seed 2 --seed 3

Its recipes, one by one, for records of your own with outlines or masks of the findings (FFDM, film, or tomosynthesis
slice by slice, `preparation.projection=slice`): `--variant` names a row (`mln-net`, `swin-unet`, `basenet-s`, `unet`,
`resnet`, `mnet`, `bigaug`, `sadn`, `unet-branches`). docs/tables.md says how the rows are made.

| section 4.1          |                                                               |
|----------------------|---------------------------------------------------------------|
| tiles                | two by two of a picture, background left out, 512x512 pixels  |
| network              | Swin-Unet, two classes; a layer normalisation for each branch |
| branches             | the source; along two Bezier curves; with its grey values inverted |
| loss, optimiser      | soft Dice, summed over branches; Adam, decay 1e-3, batch 4    |
| epochs               | at most 100, best validation Dice                             |
| branch of a picture  | the closest by cosine, summed over layers and tiles           |

| trained on FFDM, tested on DBT | DSC, % | HD, mm |    | trained on DBT, tested on FFDM | DSC, % | HD, mm |
|--------------------------------|--------|--------|----|--------------------------------|--------|--------|
| Unet                           | 37.32  | 51.97  |    |                                | 43.63  | 44.64  |
| Resnet                         | 37.25  | 42.05  |    |                                | 46.98  | 35.32  |
| M-net                          | 55.56  | 30.47  |    |                                | 59.41  | 25.98  |
| Swin-Unet                      | 46.97  | 29.17  |    |                                | 57.07  | 26.21  |
| BigAug                         | 76.96  | 29.15  |    |                                | 74.26  | 26.74  |
| Sadn                           | 74.95  | 27.78  |    |                                | 87.25  | 23.80  |
| MLN-net                        | 78.91  | 23.32  |    |                                | 86.52  | 20.49  |

Two rows of the tables the paper lacks, `swin_unet_harmonised` and `mln_net_harmonised`: the same trainings, measured on
pictures that were carried to the look of the source without a label (docs/harmonising.md).

    mammo-tf tune mln_net --data prepared/source

searches its loss and its rates (docs/search.md). The paper names no learning rate; 1e-4 is ours. It does not say how
any of the others was trained; here every row has the budget of MLN-net.
"""

from mammo_tf.experiments.mln_net import rows
from mammo_tf.experiments.mln_net.sizes import PAPER
from mammo_tf.recipes import Recipe
from mammo_tf.recipes.search import Number, OneOf, Space, Whole


def recipe() -> Recipe:
    """MLN-net, as `mln_net`."""
    return mln_net()


def mln_net() -> Recipe:
    """A layer normalisation for each branch, the closest branch by cosine."""
    return rows.mln_net.recipe(PAPER)


def swin_unet() -> Recipe:
    """The same network on the source alone."""
    return rows.swin_unet.recipe(PAPER)


def basenet_s() -> Recipe:
    """The same network on the source and its other looks, without branches."""
    return rows.basenet_s.recipe(PAPER)


def unet() -> Recipe:
    """U-Net with batch normalisation."""
    return rows.unet.recipe(PAPER)


def resnet() -> Recipe:
    """U-Net with the encoder of ResNet-34."""
    return rows.resnet.recipe(PAPER)


def mnet() -> Recipe:
    """M-net, supervised at four depths."""
    return rows.mnet.recipe(PAPER)


def bigaug() -> Recipe:
    """U-Net on tiles under nine stacked transformations."""
    return rows.bigaug.recipe(PAPER)


def sadn() -> Recipe:
    """Dual normalisation."""
    return rows.sadn.recipe(PAPER)


def unet_branches() -> Recipe:
    """U-Net with a layer normalisation for each branch."""
    return rows.unet_branches.recipe(PAPER)


def space() -> Space:
    """The loss, and how fast it is followed; of any of the rows."""
    return Space(
        {
            "task.loss": OneOf(("dice", "smooth_dice", "dice_and_cross_entropy", "focal_tversky")),
            "stages.source.rate": Number(1e-5, 2e-3, log=True),
            "stages.source.weight_decay": Number(1e-5, 1e-2, log=True),
            "stages.source.warm_up": Whole(0, 400, 50),
        },
        objective="val_dice",
    )
