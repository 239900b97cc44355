"""End2End on a source domain: a patch classifier becomes the body of a whole-image classifier (method C).

    mammo-tf run pipelines/end2end_baseline.py --data prepared/source -o runs/baseline

Rates and epochs: Shen et al., Sci Rep 2019, as tests/golden/end2end/README.md ("Training") reports them.
The seed's row (CBIS-DDSM and INbreast, then a private target): AUC 0.755 (0.686-0.827). That cohort cannot be shipped;
what the synthetic study gives is in docs/results.md.
"""

from mammo_tf.data import Augmentation, PatchSampling
from mammo_tf.models import End2End, PatchClassifier
from mammo_tf.recipes import Phase, Preparation, Recipe, Training
from mammo_tf.training import Stage

STEADY = {"rate_patience": 0, "stop_patience": 0}  # the paper has neither patience
HEAD = ("block_1", "block_2", "output")
FLIPS_AND_TURNS = Augmentation(
    rotation=25, shift=0.0, zoom=0.2, shear=0.2, horizontal_flip=True, vertical_flip=True,
    interpolation="nearest", fill="nearest",
)  # fmt: skip


def recipe() -> Recipe:
    """The journal paper's recipe."""
    return Recipe(
        name="end2end_baseline",
        about="VGG16 512x1 on a source domain: patch stage, whole-image stage",
        network=End2End(backbone="vgg16", top="512x1"),
        preparation=Preparation(preset="legacy", mean="training"),  # stretched to 1152x896, or to the records' size
        training=Training(batch_size=10, augmentation=FLIPS_AND_TURNS),
        phases=(
            Phase(
                plan=PatchSampling(rows=224, columns=224), batch_size=32,
                network=PatchClassifier(backbone="vgg16", dropout=0.5, weight_decay=0.01),
                stages=(
                    # "all" from the first epoch: without weights from other pictures a frozen body is noise
                    Stage("patch_1", ("all",), rate=1e-3, epochs=3, **STEADY),
                    Stage("patch_2", ("all",), rate=1e-4, epochs=10, **STEADY),
                    Stage("patch_3", ("all",), rate=1e-5, epochs=37, rate_patience=0, stop_patience=10),
                ),
            ),
            Phase(
                stages=(
                    Stage("whole_1", HEAD, rate=1e-4, epochs=30, weight_decay=1e-3, dropout=0.0, **STEADY),
                    Stage("whole_2", ("all",), rate=1e-5, epochs=20, weight_decay=1e-2, dropout=0.0, **STEADY),
                ),
            ),
        ),
    )  # fmt: skip


def as_run() -> Recipe:
    """The example script of the public repository (starts from ImageNet weights there)."""
    return Recipe(
        name="end2end_baseline_as_run",
        about="VGG16 512x1 with the rates of the public example script",
        preparation=Preparation(preset="legacy", mean="training"),
        training=Training(batch_size=10, augmentation=FLIPS_AND_TURNS, class_balance="batch_weights"),
        phases=(
            Phase(
                plan=PatchSampling(rows=224, columns=224), batch_size=32,
                network=PatchClassifier(dropout=0.5, weight_decay=0.01),
                stages=(
                    Stage("patch_1", ("output",), 1e-2, 1, optimizer="nadam", weight_decay=0.01, dropout=0.5),
                    # x 0.01, from block5_conv1 on; second decay and dropout
                    Stage("patch_2", ("block5", "output"), 1e-4, 5, weight_decay=1e-4, dropout=0.0, optimizer="nadam"),
                    # x 0.0001
                    Stage("patch_3", ("all",), 1e-6, 15, weight_decay=1e-4, dropout=0.0, optimizer="nadam"),
                ),
            ),
            Phase(
                stages=(
                    Stage("whole_1", HEAD, 1e-3, 1, weight_decay=1e-4, dropout=0.0, keep="val_auc", **STEADY),
                    Stage("whole_2", ("all",), 1e-4, 2, weight_decay=1e-4, dropout=0.0, keep="val_auc", **STEADY),
                ),
            ),
        ),
    )  # fmt: skip
