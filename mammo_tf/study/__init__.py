"""What an image is: rows, labels, findings, splits, leakage."""

from mammo_tf.study.cells import LABELS, SPLITS
from mammo_tf.study.counts import count_table
from mammo_tf.study.findings import Finding, findings_from_json, findings_to_json
from mammo_tf.study.manifest import (
    COLUMNS,
    UNLABELLED,
    make_manifest,
    positive,
    read_manifest,
    resolve_path,
    truth,
    write_manifest,
)
from mammo_tf.study.rejects import Reject, kept_rejects, write_rejects
from mammo_tf.study.split import assign_splits, check_classes, check_leakage

__all__ = [
    "COLUMNS",
    "LABELS",
    "SPLITS",
    "Finding",
    "Reject",
    "assign_splits",
    "check_classes",
    "check_leakage",
    "count_table",
    "findings_from_json",
    "findings_to_json",
    "kept_rejects",
    "make_manifest",
    "positive",
    "truth",
    "UNLABELLED",
    "read_manifest",
    "resolve_path",
    "write_manifest",
    "write_rejects",
]
