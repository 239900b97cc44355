"""Commands about the installation: `doctor`."""

from __future__ import annotations

from argparse import Namespace

from mammo_tf.cli.shared import Commands, print_all, tensorflow_loaded


def add(commands: Commands) -> None:
    """Tells the front door of these commands."""
    commands.add("doctor", "versions, devices, and what to fix", doctor)


def doctor(_: Namespace) -> None:
    """Says what is there and what to fix."""
    with tensorflow_loaded():
        from mammo_tf.doctor import findings

    lines, advice = findings()
    print_all(lines)
    print_all(f"-> {line}" for line in advice or ["nothing to fix"])
