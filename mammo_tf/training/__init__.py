"""Stages, tasks, callbacks, devices: around Keras' own fit."""

from mammo_tf.training.callbacks import StagedUnfreezing
from mammo_tf.training.computation import PRECISIONS, Computation
from mammo_tf.training.devices import make_strategy, replicas
from mammo_tf.training.fit import Material, fit_stage, write_log
from mammo_tf.training.legacy_training import LegacyTraining, legacy_training
from mammo_tf.training.model_card import CardCalibration, ModelCard, Threshold
from mammo_tf.training.model_file import ModelFile, load_model, save_model
from mammo_tf.training.predict import predict_probabilities
from mammo_tf.training.schedules import CyclicRate
from mammo_tf.training.stages import Stage, prepare_stage
from mammo_tf.training.tasks import AnyTask, Classification, Segmentation, Task
from mammo_tf.training.training_domain import TrainingDomain

__all__ = [
    "PRECISIONS",
    "Computation",
    "CardCalibration",
    "CyclicRate",
    "LegacyTraining",
    "Material",
    "ModelCard",
    "Threshold",
    "TrainingDomain",
    "ModelFile",
    "Stage",
    "StagedUnfreezing",
    "AnyTask",
    "Classification",
    "Segmentation",
    "Task",
    "fit_stage",
    "legacy_training",
    "load_model",
    "make_strategy",
    "predict_probabilities",
    "prepare_stage",
    "replicas",
    "save_model",
    "write_log",
]
