"""The synthetic study: one breast made once in three dimensions, seen by machines that are data."""

from mammo_tf.phantom.ink import CONSPICUOUS, DEFAULT_CONSPICUITY
from mammo_tf.phantom.machine import Machine, load_machine, machine_names
from mammo_tf.phantom.study import DEFAULT_PREVALENCE, PatientGroup, make_study

__all__ = [
    "CONSPICUOUS",
    "DEFAULT_CONSPICUITY",
    "DEFAULT_PREVALENCE",
    "Machine",
    "PatientGroup",
    "load_machine",
    "machine_names",
    "make_study",
]
