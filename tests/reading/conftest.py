"""DICOM files as tests need them: a small invented breast, and whatever header it shall have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"
Write = Callable[..., Dataset]


def breast(peak: int, seed: int = 0) -> np.ndarray:
    """A textured half ellipse at the left edge on 0, uint16 `[128, 100]`, nothing above `peak`."""
    y, x = np.mgrid[:128, :100]
    inside = ((y - 64) / 54) ** 2 + (x / 70) ** 2 < 1
    return np.where(inside, peak * np.random.default_rng(seed).uniform(0.4, 1, inside.shape), 0).astype(np.uint16)


@pytest.fixture
def write_dicom(monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes a mammogram: `write_dicom(path, pixels, bits, sop_class, drop=keywords, compress=..., **elements)`.

    Pixels are by default a breast of 12 bits. `compress` is a transfer syntax; `after` holds elements that are set
    when the pixels are compressed, so that they contradict them.
    """

    def write(
        path: Path,
        pixels: np.ndarray | None = None,
        bits: int = 12,
        sop_class: str = MAMMOGRAM,
        drop: tuple[str, ...] = (),
        compress: str = "",
        after: dict[str, Any] | None = None,
        **elements: Any,
    ) -> Dataset:
        for mode in ("reading_validation_mode", "writing_validation_mode"):  # wrong words are wanted
            monkeypatch.setattr(config.settings, mode, config.IGNORE)
        stored = breast(3000) if pixels is None else pixels
        made = Dataset()
        made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid(entropy_srcs=["image", str(path)])
        made.StudyInstanceUID = generate_uid(entropy_srcs=["study", str(elements.get("PatientID", "P1"))])
        made.SeriesInstanceUID = generate_uid(entropy_srcs=["series", str(path.parent)])
        made.Modality, made.PatientID, made.PatientName, made.PatientAge = "MG", "P1", "X", "055Y"
        made.BodyPartExamined, made.ImageLaterality, made.ViewPosition = "BREAST", "L", "CC"
        made.PresentationIntentType, made.ImageType = "FOR PRESENTATION", ["DERIVED", "PRIMARY"]
        made.PixelSpacing = made.ImagerPixelSpacing = [0.1, 0.1]
        *frames, made.Rows, made.Columns = stored.shape
        if frames:
            made.NumberOfFrames = frames[0]
        made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
        made.PixelRepresentation = int(stored.dtype.kind == "i")
        made.BitsAllocated = 8 * stored.itemsize
        made.BitsStored = min(bits, made.BitsAllocated)
        made.HighBit = made.BitsStored - 1
        made.WindowCenter, made.WindowWidth = 2 ** (made.BitsStored - 1), 2**made.BitsStored
        for keyword, value in elements.items():
            setattr(made, keyword, value)
        for keyword in drop:
            delattr(made, keyword)
        data = stored.astype(stored.dtype.newbyteorder("<")).tobytes()
        made.PixelData = data + bytes(len(data) % 2)
        made.file_meta = FileMetaDataset()
        made.file_meta.MediaStorageSOPClassUID = sop_class
        made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
        made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if compress:
            plugin = "pyjpegls" if compress == pydicom.uid.JPEGLSLossless else "pylibjpeg"
            made.compress(compress, encoding_plugin=plugin, generate_instance_uid=False)
        for keyword, value in (after or {}).items():
            setattr(made, keyword, value)
        pydicom.dcmwrite(path, made, enforce_file_format=True)
        return made

    return write
