"""Exams as DICOM objects, small and quick, and the models that are asked about them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pydicom

from mammo_tf.imaging import Preprocessing
from mammo_tf.phantom.dicom import Identity, write_dicom
from mammo_tf.phantom.exposure import StoredPicture, Window
from mammo_tf.phantom.machine import load_machine
from mammo_tf.training import CardCalibration, ModelCard, Segmentation, Threshold, save_model

VIEWS = (("L", "CC"), ("L", "MLO"), ("R", "CC"), ("R", "MLO"))
ROWS, COLUMNS = 150, 120
SIZE = (64, 48)
NAME = "CANARYNAME^GRETEL"
BIRTH = "19440229"
CUT, GAIN = 60.0, 1.0  # grey levels above those of tissue alone; logits a level


def breast(seed: int, bright: bool, frames: int = 0) -> np.ndarray:
    """A half disc with noise, chest wall at the left; in bright ones a disc as large as a fist."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    picture = np.where(np.hypot((y - ROWS / 2) * 1.1, x) < 75, 1100.0, 20.0) + generator.normal(0, 20, (ROWS, COLUMNS))
    if bright:
        picture[np.hypot(y - 60 - seed % 20, x - 40) < 14] += 1500
    picture = np.clip(picture, 0, 4095).astype(np.uint16)
    return np.repeat(picture[None], frames, axis=0) if frames else picture


def write_image(path: Path, patient: str, exam: str, side: str, view: str, seed: int = 0, bright: bool = False,
                frames: int = 0, name: str = NAME) -> pydicom.Dataset:  # fmt: skip
    """One object of an exam; a tomosynthesis volume where it has frames."""
    machine = load_machine("dbt" if frames else "ffdm_site_1")
    pixels = breast(seed, bright, frames)
    inside = np.ones(pixels.shape[-2:], np.bool_)
    window = Window("window", 1500.0, 3000.0)
    stored = StoredPicture(pixels, window, 0.4, (0.0, 0.0), inside, ~inside, slice_mm=1.0 if frames else 0.0)
    who = Identity(patient, exam, f"{exam} {side}{view}", side, view, 57, "results")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dicom(path, stored, machine, who, 50.0)
    header = pydicom.dcmread(path)
    header.PatientName, header.PatientBirthDate = name, BIRTH
    header.StudyDescription = "CANARYSTUDY screening"
    header.PatientComments = "CANARYCOMMENT"
    header.save_as(path)
    return header


def write_exam(folder: Path, number: int, bright: bool, frames: int = 0) -> list[pydicom.Dataset]:
    """The four views of one woman."""
    return [
        write_image(
            folder / f"exam{number}" / f"{side}{view}.dcm", f"PID{number}", f"exam{number}", side, view,
            seed=10 * number + place, bright=bright and side == "L", frames=frames,
        )
        for place, (side, view) in enumerate(VIEWS)
    ]  # fmt: skip


def save_classifier(path: Path, threshold: float | None = 0.5) -> Path:
    """A classifier of one convolution that tells bright pictures, with a class activation map and a calibration."""
    steps = Preprocessing.preset("default", SIZE)
    rows, columns, channels = (*SIZE, 3)
    pictures = keras.Input((rows, columns, channels))
    tensor = keras.layers.Conv2D(2, 4, 4, padding="same", activation="relu")(pictures)
    tensor = keras.layers.GlobalAveragePooling2D()(tensor)
    model = keras.Model(pictures, keras.layers.Dense(2, "softmax")(tensor))
    kernel = np.zeros((4, 4, channels, 2), np.float32)
    kernel[..., 0], kernel[..., 1] = 1 / 48, 1 / 48
    model.layers[1].set_weights([kernel, np.array([-CUT, 0.0], np.float32)])
    model.layers[-1].set_weights([np.array([[0, GAIN], [0, 0]], np.float32), np.array([0, -2.0], np.float32)])
    points = () if threshold is None else (Threshold("image", threshold, "chosen for the test"),)
    card = ModelCard(
        recipe="tiny", preprocessing=steps, thresholds=points, calibration=CardCalibration("platt", 2.0, -1.0)
    )
    save_model(path, model, card)
    return path


def save_segmenter(path: Path) -> Path:
    """A network whose mask is what is bright: a pixel's probability by its own grey level."""
    steps = Preprocessing.preset("native", (160, 128), mean=0.0, channels=1)
    pictures = keras.Input((160, 128, 1))
    answer = keras.layers.Conv2D(1, 1, activation="sigmoid")(pictures)
    model = keras.Model(pictures, answer)
    model.layers[-1].set_weights([np.full((1, 1, 1, 1), 0.1, np.float32), np.array([-15.0], np.float32)])
    points = (Threshold("image", 0.5, "chosen for the test"),)
    save_model(path, model, ModelCard(recipe="outliner", task=Segmentation(), preprocessing=steps, thresholds=points))
    return path
