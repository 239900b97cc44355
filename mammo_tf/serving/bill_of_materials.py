"""The software bill of materials of the environment that a bundle was made in: CycloneDX, by its own tool."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json
from mammo_tf.serving.parts import Made

FILE = "sbom.cdx.json"
LIMIT_S = 300


def write(made: Made) -> dict[str, Any]:
    """Writes `sbom.cdx.json`: every installed package with version and licence; nothing of where they lie.

    Raises:
        MammoError: `bill_failed` with what the tool said.
    """
    path = made.extra / FILE
    command = [
        sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible", "--of", "JSON", "-o", str(path),
        sys.executable,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode or not path.is_file():
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise MammoError("bill_failed", f"cyclonedx-py did not list the installed packages: {said}")
    listed = read_json(path)
    for component in listed["components"]:
        references = component.get("externalReferences", [])
        component["externalReferences"] = [one for one in references if not one["url"].startswith("file:")]
    write_json(path, listed)
    return {"file": FILE, "format": f"CycloneDX {listed['specVersion']}", "components": len(listed["components"])}
