"""How large the experiment is, and where its pictures come from.

`PAPER` has the numbers of Wang et al., *MLN-net: A multi-source medical image segmentation method for clustered
microcalcifications using multiple layer normalization*, section 4.1: two by two tiles at 512x512, batches of four, Adam
with beta 0.9 and weight decay 1e-3, at most 100 epochs. `PHANTOM` is for two cores: its rate, its loss, its decay and
no drop path were chosen on the validation mammograms of another seed than those reported, and on no target;
docs/tables.md has what was tried.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

FFDM, DBT, SITE_2, FILM = "ffdm_site_1", "dbt", "ffdm_site_2", "film"
SOURCES = (FFDM, DBT)
MACHINES = (*SOURCES, SITE_2, FILM)
TARGETS = {FFDM: (DBT, SITE_2, FILM), DBT: (FFDM, SITE_2, FILM)}  # of each source; beside its own test patients


@dataclass(frozen=True)
class MlnSize:
    """How large the experiment is.

    Attributes:
        patients: of train, validation and test; those of test go to every machine, the others to both sources.
        spacing_mm: of the synthetic study.
        rows, columns: of a prepared picture.
        cut: rows and columns of tiles of a picture.
        tile: rows and columns of a tile in front of the network.
        slices: frames of a volume, around the one that its cluster was seen in.
        embed_dim, depths, heads, window: of Swin-Unet.
        width: channels of the first level of the convolutional networks.
        samples: tiles of an epoch, half of them with a cluster; None for all that there are, once.
        batch: tiles of an optimiser's step.
        epochs: at most.
        rate: learning rate.
        warm_up: steps in which it rises.
        decay: weight decay.
        decay_kind: how it acts, see `training.Stage.decay`.
        drop_path: of Swin-Unet.
        loss: a name in `training.losses.PIXEL_LOSSES`.
        mean: what is subtracted of intensities in [0, 1]: a number, or "training".
        replicates: of the bootstrap.
    """

    patients: tuple[int, int, int] = (72, 20, 24)
    spacing_mm: float = 0.4
    rows: int = 512
    columns: int = 384
    cut: tuple[int, int] = (8, 6)
    tile: int = 64
    slices: int = 1
    embed_dim: int = 16
    depths: tuple[int, int, int, int] = (1, 1, 1, 1)
    heads: tuple[int, int, int, int] = (1, 2, 4, 8)
    window: int = 4
    width: int = 8
    samples: int | None = 640
    batch: int = 16
    epochs: int = 10
    rate: float = 2e-3
    warm_up: int = 40
    decay: float = 1e-3
    decay_kind: str = "decoupled"
    drop_path: float = 0.0
    loss: str = "dice_and_weighed_cross_entropy"
    mean: str | float = "training"
    replicates: int = 2000


PHANTOM = MlnSize()
PAPER = replace(
    PHANTOM, rows=2048, columns=1664, cut=(2, 2), tile=512, slices=3, embed_dim=96, depths=(2, 2, 2, 2),
    heads=(3, 6, 12, 24), window=8, width=64, samples=None, batch=4, epochs=100, rate=1e-4, warm_up=0, loss="dice",
    decay_kind="coupled", drop_path=0.1, mean=0.0,
)  # fmt: skip
SMOKE = replace(
    PHANTOM, patients=(5, 3, 4), spacing_mm=1.0, rows=128, columns=96, cut=(2, 2), tile=64, embed_dim=8,
    heads=(1, 1, 2, 2), window=2, width=4, samples=8, batch=4, epochs=1, warm_up=0, replicates=50,
)  # fmt: skip
