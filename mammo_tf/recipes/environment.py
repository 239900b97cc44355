"""Where a run was made: what is installed, what is asked of the processor, which source, which command."""

from __future__ import annotations

import os
import sys
from typing import Any

from mammo_tf.doctor import installed
from mammo_tf.files import source_revision


def environment() -> dict[str, Any]:
    """What a bug report needs: versions, machine, devices, revision of the source tree where there is one."""
    import tensorflow as tf

    return installed() | {
        "threads": _threads(tf),
        "revision": source_revision(),
        "command": " ".join(["mammo-tf", *sys.argv[1:]]),
    }


def _threads(tf: Any) -> dict[str, int]:
    """How many threads TensorFlow adds numbers with: that changes the order, and a long training magnifies it."""
    cores = len(os.sched_getaffinity(0))
    return {
        "intra_op": _asked("INTRAOP") or tf.config.threading.get_intra_op_parallelism_threads() or cores,
        "inter_op": _asked("INTEROP") or tf.config.threading.get_inter_op_parallelism_threads() or cores,
    }


def _asked(which: str) -> int:
    text = os.environ.get(f"TF_NUM_{which}_THREADS", "")
    return int(text) if text.isdigit() else 0
