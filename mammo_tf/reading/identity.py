"""Identifiers that leave this room: keyed hashes, the same on every run with the same key.

The key is the environment variable `MAMMO_TF_KEY`, else a file that only its owner may read, made on first use in
the user's configuration folder, never next to any output.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sys
from functools import lru_cache
from pathlib import Path

from mammo_tf.errors import MammoError

VARIABLE = "MAMMO_TF_KEY"
DIGITS = 20


def keyed_hash(kind: str, value: str) -> str:
    """HMAC-SHA256 of an identifier, its first 20 hexadecimal digits (80 bits); "" for an empty one.

    Args:
        kind: what is identified (`patient`, `exam`, `image`, `pair`), so that equal numbers of unlike things differ.
        value: the identifier as the archive knows it.

    Raises:
        MammoError: `key_unusable` if there is no key and none can be stored.
    """
    if not value:
        return ""
    key = os.environ.get(VARIABLE, "").encode()
    if not key:
        try:
            key = _stored_key(key_path())
        except RuntimeError as error:  # nobody's home
            raise MammoError("key_unusable", "the user has no folder for a key", f"Set {VARIABLE}") from error
    return hmac.new(key, f"{kind}\0{value}".encode(errors="surrogateescape"), hashlib.sha256).hexdigest()[:DIGITS]


def key_fingerprint() -> str:
    """What tells the key from others without telling it; hashes of two keys cannot be compared. Errors as above."""
    return keyed_hash("fingerprint", "key")


def as_it_is(_: str, value: str) -> str:
    """In place of `keyed_hash` where somebody asked for the archive's own identifiers."""
    return value


def key_path() -> Path:
    """Where the key lies if the environment has none."""
    if sys.platform == "win32":
        folder = Path(os.environ.get("APPDATA") or Path.home() / "AppData" / "Roaming")
    else:
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return folder / "mammo_tf" / "key"


@lru_cache(maxsize=4)
def _stored_key(path: Path) -> bytes:
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".key.{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
                stream.write(secrets.token_hex(32))
            try:
                os.link(beside, path)
            except FileExistsError:
                pass  # another process was first: its key counts
            except OSError:  # a file system without links
                beside.rename(path)
            finally:
                beside.unlink(missing_ok=True)
        key = path.read_bytes().strip()
    except OSError as error:
        raise MammoError(
            "key_unusable", f"the key for identifiers cannot be kept at {path}", f"Set {VARIABLE} to a secret text"
        ) from error
    if not key:
        raise MammoError("key_unusable", f"the key file {path} is empty", "Remove it, or put a secret text into it")
    return key
