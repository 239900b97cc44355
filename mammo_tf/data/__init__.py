"""Records to batches: one stream for training, one for inference."""

from mammo_tf.data.augmentation import NO_AUGMENTATION, Augmentation
from mammo_tf.data.band_gains import BandGains
from mammo_tf.data.deformation import Deformation
from mammo_tf.data.domains import DomainPlan, DomainSampling, Look, SourceLooks
from mammo_tf.data.image_patches import ImagePatches, ScoredPatches
from mammo_tf.data.image_tiles import ImageTiles, ScoredTiles, TileSampling
from mammo_tf.data.intensity_changes import Gamma, GaussianNoise
from mammo_tf.data.patches import Patches
from mammo_tf.data.plans import BALANCES, Draws, WholeImages
from mammo_tf.data.sampling import ImagePatchSampling, PatchSampling, WholeImageSampling
from mammo_tf.data.sheets import patch_sheets
from mammo_tf.data.stacked import StackedTransformations, big_aug
from mammo_tf.data.streams import (
    draws_of_batch,
    draws_of_epoch,
    inference_stream,
    steps_per_epoch,
    stream_errors,
    training_stream,
)

__all__ = [
    "BALANCES",
    "NO_AUGMENTATION",
    "Augmentation",
    "Deformation",
    "DomainPlan",
    "DomainSampling",
    "Draws",
    "Gamma",
    "BandGains",
    "GaussianNoise",
    "ImagePatchSampling",
    "ImagePatches",
    "ImageTiles",
    "Look",
    "PatchSampling",
    "Patches",
    "ScoredPatches",
    "ScoredTiles",
    "SourceLooks",
    "StackedTransformations",
    "TileSampling",
    "WholeImageSampling",
    "WholeImages",
    "big_aug",
    "draws_of_batch",
    "draws_of_epoch",
    "inference_stream",
    "patch_sheets",
    "steps_per_epoch",
    "stream_errors",
    "training_stream",
]
