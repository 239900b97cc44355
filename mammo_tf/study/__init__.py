"""What an image is: rows, labels, findings, splits, leakage."""

from mammo_tf.study.cells import LABELS, SPLITS
from mammo_tf.study.counts import count_table
from mammo_tf.study.findings import Finding, findings_from_json, findings_to_json
from mammo_tf.study.identities import identity_line
from mammo_tf.study.manifest import (
    COLUMNS,
    UNLABELLED,
    make_manifest,
    positive,
    read_manifest,
    resolve_path,
    table_digest,
    truth,
    write_manifest,
)
from mammo_tf.study.origin import Origin, check_origin_output, read_origin, write_origin
from mammo_tf.study.projection import Projection
from mammo_tf.study.rejects import Reject, rejects_text, write_rejects
from mammo_tf.study.split import assign_splits, check_classes, check_leakage, with_splits_of

__all__ = [
    "COLUMNS",
    "Finding",
    "LABELS",
    "Origin",
    "Projection",
    "Reject",
    "SPLITS",
    "UNLABELLED",
    "assign_splits",
    "check_classes",
    "check_leakage",
    "check_origin_output",
    "count_table",
    "findings_from_json",
    "findings_to_json",
    "identity_line",
    "make_manifest",
    "positive",
    "read_manifest",
    "read_origin",
    "rejects_text",
    "resolve_path",
    "table_digest",
    "truth",
    "with_splits_of",
    "write_manifest",
    "write_origin",
    "write_rejects",
]
