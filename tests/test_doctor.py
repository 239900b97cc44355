"""What `doctor` says of cards that are not here: driver, memory, and compute capability against TensorFlow's."""

import subprocess

import pytest
import tensorflow as tf

from mammo_tf import doctor


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with a driver and the cards that it is told."""

    def made(*cards, driver="NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86", built=((6, 0), (9, 0))):
        file = tmp_path / ("version" if driver else "no-version")
        if driver:
            file.write_text(driver + "\nGCC version: 12\n")
        monkeypatch.setattr(doctor, "DRIVER", file)
        monkeypatch.setattr(doctor, "capabilities", lambda: list(built))
        monkeypatch.setattr(
            doctor, "cards", lambda: [dict(zip(("name", "capability", "memory_mb"), one, strict=True)) for one in cards]
        )
        return doctor.findings()

    return made


def test_a_card_that_tensorflow_was_built_for_needs_nothing(machine):
    lines, advice = machine(("NVIDIA H100", (9, 0), 81559))
    assert "NVIDIA H100, 80 GB, compute capability 9.0" in lines
    assert any("570.86" in line for line in lines)
    assert "tensorflow was built for compute capabilities 6.0, 9.0" in lines
    assert not any("capability" in line or "GPU" in line for line in advice)


def test_a_newer_card_is_told_what_to_do(machine):
    _, advice = machine(("NVIDIA B200", (12, 0), None))
    assert "NVIDIA B200 has compute capability 12.0" in advice[0] and "built for 9.0 at most" in advice[0]
    assert "CUDA_VISIBLE_DEVICES=" in advice[0]


def test_an_older_card_is_told_so(machine):
    _, advice = machine(("NVIDIA K80", (3, 7), 11441))
    assert advice[0] == "NVIDIA K80 (compute capability 3.7) is older than this TensorFlow supports"


def test_a_card_that_says_nothing_and_a_build_without_cuda_are_left_alone(machine):
    lines, advice = machine(("a card", None, None), built=())
    assert "a card, compute capability unknown" in lines
    assert "tensorflow was built for the CPU alone" in lines
    assert not any("a card" in line for line in advice)


def test_a_driver_without_a_card_and_neither(machine):
    assert any("TensorFlow sees no GPU" in line for line in machine()[1])
    assert any(line.startswith("no GPU") for line in machine(driver="")[1])


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (["sm_60", "sm_89", "compute_90", "sm_120"], [(6, 0), (8, 9), (9, 0), (12, 0)]),
        (["7.5", "8.6"], [(7, 5), (8, 6)]),
        ([], []),
    ],
)
def test_capabilities_of_a_build(monkeypatch, told, found):
    monkeypatch.setattr(tf.sysconfig, "get_build_info", lambda: {"cuda_compute_capabilities": told})
    assert doctor.capabilities() == found


def test_memory_is_what_nvidia_smi_says_and_nothing_without_it(monkeypatch):
    def smi(command, **_):
        return subprocess.CompletedProcess(command, 0, "81559\n24576\n", "")

    monkeypatch.setattr(subprocess, "run", smi)
    assert doctor._memory() == [81559, 24576]

    def missing(*_, **__):
        raise FileNotFoundError

    monkeypatch.setattr(subprocess, "run", missing)
    assert doctor._memory() == []
