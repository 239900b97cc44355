"""Libraries that write and send DICOM: an extra of the installation, asked for where they are needed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from mammo_tf.errors import MammoError

PACKAGES = ("highdicom", "pynetdicom", "dicomweb_client")
for _name in PACKAGES:  # highdicom logs the identifiers of what it copies, pynetdicom what it is sent
    logging.getLogger(_name).setLevel(logging.CRITICAL)


def check_extra() -> None:
    """Raises `extra_missing` where one of the libraries is not installed."""
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        sentence = f"DICOM results need {' and '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not there"
        raise MammoError("extra_missing", sentence, "Install it: pip install 'mammo_tf[dicom-out]'")


@contextmanager
def unheard() -> Iterator[None]:
    """Warnings of the libraries are not shown while the body runs: some repeat a value of the header, a name too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
