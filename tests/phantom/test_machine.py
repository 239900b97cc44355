"""Machines are JSON files, strictly read."""

import json

import pytest

from mammo_tf.errors import MammoError
from mammo_tf.phantom import Machine, load_machine, machine_names

SWEEP = {"projections": 9, "sweep_deg": 15.0, "slice_mm": 1.0, "low_frequencies": 0.3, "cutoff_per_mm": 0.5}


@pytest.fixture
def shipped():
    from importlib import resources

    return lambda name: json.loads((resources.files("mammo_tf.phantom") / f"machines/{name}.json").read_text())


def test_shipped_machines_load():
    assert {"ffdm_site_1", "ffdm_site_2", "film", "film_8bit", "dbt"} <= set(machine_names())
    for name in machine_names():
        machine = load_machine(name)
        assert isinstance(machine, Machine) and machine.name == name
        assert (machine.film is not None) == (machine.modality == "FILM")
        assert (machine.tomosynthesis is not None) == (machine.modality == "DBT")


def test_anyones_file_loads(tmp_path, shipped):
    path = tmp_path / "my.json"
    path.write_text(json.dumps(shipped("ffdm_site_1") | {"name": "my-site", "spacing_factor": 2}))
    machine = load_machine(path)
    assert machine.name == "my-site" and machine.spacing_factor == 2.0
    assert machine.field_mm == (216.0, 168.0)


def change(place, value):
    def apply(content):
        *way, last = place.split(".")
        for key in way:
            content = content[key]
        if value is ...:
            del content[last]
        else:
            content[last] = value

    return apply


@pytest.mark.parametrize(
    ("place", "value", "code", "words"),
    [
        ("spacing_facter", 1.0, "machine_key_unknown", ["'spacing_facter'", "Did you mean spacing_factor?"]),
        (
            "presentation.curv",
            "log",
            "machine_key_unknown",
            ["'presentation.curv'", "Did you mean presentation.curve?"],
        ),
        ("detector.blur_mm", ..., "machine_key_missing", ["'detector.blur_mm'"]),
        ("detector.blur_mm", -0.1, "machine_value_wrong", ["detector.blur_mm is -0.1, not within 0 to 2"]),
        ("detector.blur_mm", float("nan"), "machine_value_wrong", ["detector.blur_mm"]),
        ("detector.blur_mm", "much", "machine_value_wrong", ["detector.blur_mm", "a number"]),
        ("presentation.bits", 12.5, "machine_value_wrong", ["presentation.bits", "a whole number"]),
        ("presentation.bits", True, "machine_value_wrong", ["presentation.bits", "a whole number"]),
        (
            "presentation.curve",
            "sigmoidal",
            "machine_value_wrong",
            ["presentation.curve", "not one of log, sigmoid", "Did you mean sigmoid?"],
        ),
        ("field_mm", [200.0], "machine_value_wrong", ["field_mm", "2 numbers"]),
        ("field_mm", [200.0, 500.0], "machine_value_wrong", ["field_mm", "120 to 216"]),
        ("beam", 3, "machine_value_wrong", ["beam"]),
        ("modality", "FILM", "machine_value_wrong", ["needs the key 'film'"]),
        ("modality", "DBT", "machine_value_wrong", ["needs the key 'tomosynthesis'"]),
        ("tomosynthesis", SWEEP, "machine_value_wrong", ["must not have the key 'tomosynthesis'"]),
        ("tomosynthesis", SWEEP | {"slice_mm": 0}, "machine_value_wrong", ["tomosynthesis.slice_mm", "0.5 to 10"]),
        ("beam.gland_per_mm", 0.03, "machine_value_wrong", ["gland_per_mm"]),
        ("name", "a/b", "machine_value_wrong", ["name"]),
    ],
)
def test_wrong_files_are_refused_by_key(tmp_path, shipped, place, value, code, words):
    content = shipped("ffdm_site_1")
    change(place, value)(content)
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content))
    with pytest.raises(MammoError) as caught:
        load_machine(path)
    assert caught.value.code == code
    for word in ["mine.json", *words]:
        assert word in str(caught.value)


def test_unknown_names_and_broken_files(tmp_path):
    with pytest.raises(MammoError, match="ffdm_site_1"):
        load_machine("ffdm_site1")
    with pytest.raises(MammoError) as caught:
        load_machine(tmp_path / "none.json")
    assert caught.value.code == "file_missing"
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(MammoError) as caught:
        load_machine(tmp_path / "broken.json")
    assert caught.value.code == "json_broken"
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(MammoError) as caught:
        load_machine(tmp_path / "list.json")
    assert caught.value.code == "machine_value_wrong"
