"""Batches to outputs: networks on `keras.ops` alone, so that they run on any Keras backend."""

from mammo_tf.models.branch_network import asking_every_branch
from mammo_tf.models.branches import branch_distances, select_branch
from mammo_tf.models.end2end import (
    End2End,
    PatchClassifier,
    body,
    end2end,
    end2end_from_patch,
    patch_body,
    patch_classifier,
)
from mammo_tf.models.features import feature_model
from mammo_tf.models.flips import flip_averaged
from mammo_tf.models.identity import architecture_digest, weights_digest
from mammo_tf.models.legacy import LegacyImport, import_legacy, read_legacy
from mammo_tf.models.mnet import MNet, mnet
from mammo_tf.models.networks import NETWORKS, Description, Network, described, description_of, started_as
from mammo_tf.models.normalization import MultiBatchNormalization, MultiLayerNormalization
from mammo_tf.models.rebuild import named_layers, rebuild
from mammo_tf.models.replacements import GroupNormalised, WeightNormalised, with_replacements
from mammo_tf.models.residual import Residual, ResidualBlock
from mammo_tf.models.resnet_patch import ResNetPatch, resnet_patch
from mammo_tf.models.resnet_unet import ResNetUNet, resnet_unet
from mammo_tf.models.saliency import activation_map_model, activation_maps
from mammo_tf.models.small_unet import SmallUNet, small_unet
from mammo_tf.models.spottune import Policies, SpotTune, policies, spottune, with_test_policy
from mammo_tf.models.swin_presets import load_swin_encoder
from mammo_tf.models.swin_unet import SwinUnet, load_torch_weights, swin_unet
from mammo_tf.models.unet import UNet, unet
from mammo_tf.models.winograd import with_winograd

__all__ = [
    "architecture_digest",
    "NETWORKS",
    "Description",
    "End2End",
    "GroupNormalised",
    "WeightNormalised",
    "Network",
    "PatchClassifier",
    "ResNetPatch",
    "Policies",
    "Residual",
    "ResidualBlock",
    "SpotTune",
    "SwinUnet",
    "MNet",
    "MultiBatchNormalization",
    "MultiLayerNormalization",
    "ResNetUNet",
    "SmallUNet",
    "UNet",
    "asking_every_branch",
    "branch_distances",
    "described",
    "description_of",
    "LegacyImport",
    "activation_map_model",
    "activation_maps",
    "body",
    "end2end",
    "end2end_from_patch",
    "feature_model",
    "flip_averaged",
    "import_legacy",
    "mnet",
    "named_layers",
    "patch_body",
    "patch_classifier",
    "policies",
    "read_legacy",
    "rebuild",
    "resnet_patch",
    "resnet_unet",
    "small_unet",
    "spottune",
    "started_as",
    "weights_digest",
    "select_branch",
    "load_swin_encoder",
    "load_torch_weights",
    "swin_unet",
    "unet",
    "with_replacements",
    "with_test_policy",
    "with_winograd",
]
