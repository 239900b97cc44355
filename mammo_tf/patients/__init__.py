"""Views, features and age to one score a patient."""

from mammo_tf.patients.model import PatientRequest, fit_patient_model
from mammo_tf.patients.scoring import PatientScore, score_patient
from mammo_tf.patients.store import PatientModel, load_patient_model

__all__ = [
    "PatientModel",
    "PatientRequest",
    "PatientScore",
    "fit_patient_model",
    "load_patient_model",
    "score_patient",
]
