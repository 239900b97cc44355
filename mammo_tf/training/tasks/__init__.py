"""What a network is asked: everything that streams, fit, runner and export must not know of its outputs."""

from mammo_tf.training.tasks.classification import Classification
from mammo_tf.training.tasks.segmentation import Segmentation
from mammo_tf.training.tasks.task import TASKS, AnyTask, Scoring, Task

__all__ = ["TASKS", "AnyTask", "Classification", "Scoring", "Segmentation", "Task"]
