"""Prepared images on disk: sharded, checked, resumable."""

from mammo_tf.records.doubles import check_same_pictures, copies_in_splits
from mammo_tf.records.example import PreparedImage
from mammo_tf.records.index import Records, open_records, verify
from mammo_tf.records.prepare import Prepared, prepare

__all__ = [
    "Prepared", "PreparedImage", "Records", "check_same_pictures", "copies_in_splits", "open_records", "prepare",
    "verify",
]  # fmt: skip
