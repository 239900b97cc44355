"""`match-scores` as it is typed: what it writes, what it says, and bad input in one line with nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf.cli.main import main
from mammo_tf.evaluation import Resampling, operating_point, read_metrics, read_predictions
from mammo_tf.evaluation.matched_predictions import match_predictions, matching_metrics
from mammo_tf.evaluation.score_matching import ScoreTable, match
from mammo_tf.reporting.matching import match_files

FEW = ["--replicates", "20"]


def _scores(name: str, patients: int, seed: int, strength: float = 1.0) -> pd.DataFrame:
    """Two images a patient; every fifth patient is positive. A machine's change of the scores is a power."""
    generator = np.random.default_rng(seed)
    person = np.arange(patients).repeat(2)
    labels = (person % 5 == 0).astype(int)
    scores = 1 / (1 + np.exp(1.5 - 2 * labels - generator.normal(size=len(person))))
    table = pd.DataFrame({"cancer": labels, "p": scores**strength, "woman": [f"{name}{one}" for one in person]})
    return table.assign(note=" as it stands", manufacturer=np.where(person % 2, "X", "Y"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    _scores("a", 300, 0).to_csv(tmp_path / "theirs.csv", index=False)
    ours = _scores("b", 300, 1)
    ours["p"] **= np.where(ours["manufacturer"] == "X", 0.3, 0.6)
    ours.to_csv(tmp_path / "ours.csv", index=False)
    return tmp_path


NAMES = {"label": "cancer", "score": "p", "patient": "woman"}
COLUMNS = ["--columns", ",".join(f"{ours}={theirs}" for ours, theirs in NAMES.items())]


def _words(files: Path, *more: str, ours: str = "ours") -> list[str]:
    return ["match-scores", f"{files}/theirs.csv", f"{files}/{ours}.csv", *COLUMNS, *FEW, "-o", f"{files}/out", *more]


def test_a_table_a_machine_and_the_operating_point_before_and_after(files: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(_words(files, "--by", "manufacturer,", "--rule", "equal_error")) == 0
    shown = capsys.readouterr().out
    theirs, ours = (pd.read_csv(files / f"{name}.csv") for name in ("theirs", "ours"))
    matched = pd.read_csv(files / "out" / "scores_matched.csv")
    assert list(matched) == [*ours, "score_before"]
    np.testing.assert_allclose(matched["score_before"], ours["p"])
    assert matched.drop(columns=["p", "score_before"]).equals(ours.drop(columns="p"))
    stored = json.loads((files / "out" / "score_tables.json").read_text())
    assert [one["machine"] for one in stored["machines"]] == [{"manufacturer": "Y"}, {"manufacturer": "X"}]
    for one in stored["machines"]:
        rows = ours["manufacturer"] == one["machine"]["manufacturer"]
        table = ScoreTable.from_json(one["table"])
        assert table == match(theirs["p"], ours.loc[rows, "p"])
        assert one["patients"] == 150
        np.testing.assert_array_equal(table(ours.loc[rows, "p"]), matched.loc[rows, "p"])
    metrics = read_metrics(files / "out" / "metrics.json")
    point = operating_point(theirs["cancer"], theirs["p"], "equal_error")
    for split, scores in (("before", ours["p"]), ("after", matched["p"]), ("reference", theirs["p"])):
        found = metrics[split]["image"]
        labels = (theirs if split == "reference" else ours)["cancer"] == 1
        assert found["threshold"]["value"] == point.threshold
        assert found["sensitivity"]["value"] == (scores[labels] >= point.threshold).mean()
        assert found["specificity"]["value"] == (scores[~labels] < point.threshold).mean()
        assert found["recall_rate"]["value"] == (scores >= point.threshold).mean()
        assert found["recall_rate"]["low"] < found["recall_rate"]["value"] < found["recall_rate"]["high"]
        assert metrics[split]["patient"]["sensitivity"]["n"] == 60
    wanted = metrics["reference"]["image"]
    assert abs(metrics["after"]["image"]["specificity"]["value"] - wanted["specificity"]["value"]) < 0.03
    assert metrics["before"]["image"]["specificity"]["value"] < 0.5
    assert metrics["after, X"]["patient"]["recall_rate"]["n"] == 150
    for part in (
        "ours.csv, X: 300 scores of 150 patients",
        "distance from the reference per image",
        "150 patients are",
    ):
        assert part in shown
    assert "not shown to differ" not in shown
    assert (files / "out" / "summary.txt").read_text() in shown
    assert {path.name for path in (files / "out").iterdir()} >= {"distributions.svg", "distributions.png"}
    drawn = (files / "out" / "distributions.svg").read_text()
    assert "of 600 scores reach the threshold" in drawn
    assert "X, 150 patients" in drawn


def test_without_labels_the_recall_rate_is_told_and_that_it_is_all(files: Path, capsys: pytest.CaptureFixture) -> None:
    for name in ("theirs", "ours"):
        pd.read_csv(files / f"{name}.csv").drop(columns="cancer").to_csv(files / f"bare_{name}.csv", index=False)
    words = ["match-scores", f"{files}/bare_theirs.csv", f"{files}/bare_ours.csv", "--columns", "score=p,patient=woman"]
    words += [*FEW, "-o", f"{files}/out"]
    assert main(words) == 2
    assert "no rule chooses a threshold on it. Give the one it works with" in capsys.readouterr().err
    assert not (files / "out").exists()
    bare = {"score": "p", "patient": "woman"}
    shown = match_files(*map(Path, words[1:3]), None, (), bare, bare, 0.4, resampling=Resampling(20))
    told = "without labels of both classes in bare_theirs.csv and bare_ours.csv the recall rate is all"
    assert any(told in line for line in shown)
    tables = [read_predictions(path, bare, unlabelled=True) for path in words[1:3]]
    metrics = matching_metrics(match_predictions(*tables), 0.4, resampling=Resampling(20))
    assert metrics["after"]["image"]["sensitivity"]["value"] is None
    recall = metrics["after"]["image"]["recall_rate"]["value"]
    assert recall == pytest.approx(metrics["reference"]["image"]["recall_rate"]["value"], abs=0.01)
    half = pd.read_csv(files / "ours.csv").astype({"cancer": object})
    half.loc[half.index >= 200, "cancer"] = ""
    half.to_csv(files / "half.csv", index=False)
    tables = [read_predictions(files / f"{name}.csv", NAMES, unlabelled=True) for name in ("theirs", "half")]
    after = matching_metrics(match_predictions(*tables), 0.4, resampling=Resampling(20))["after"]["image"]
    assert (after["recall_rate"]["n"], after["specificity"]["n"], after["sensitivity"]["n"]) == (600, 160, 40)


def _changed(files: Path, name: str) -> None:
    ours = pd.read_csv(files / "ours.csv")
    changed = {
        "percent": ours.assign(p=100 * ours["p"]),
        "logit": ours.assign(p=np.log(ours["p"] / (1 - ours["p"]))),
        "few": ours.iloc[:40],
        "constant": ours.assign(p=0.5),
        "empty": ours.assign(p=[*ours["p"][:9], None, *ours["p"][10:]]),
        "matched": ours.assign(score_before=0.1),
        "rare": ours.assign(manufacturer=["Z"] * 20 + ["X"] * 580),
        "label": ours.assign(cancer=2),
    }
    changed[name].to_csv(files / f"{name}.csv", index=False)


@pytest.mark.parametrize(
    ("ours", "more", "says"),
    [
        ("percent", "", "divide percentages by 100"),
        ("logit", "", "Write logits as probabilities"),
        ("few", "", "few.csv: scores of 20 patients are too few to be matched. Gather 25 or more"),
        ("rare", "--by manufacturer", "rare.csv, Z: scores of 10 patients are too few"),
        ("constant", "", "constant.csv: all 600 scores of the site are 0.5"),
        ("empty", "", "empty.csv, row 11: score '' is not a finite number"),
        ("matched", "", "has a column score_before"),
        ("label", "", "row 2: label '2' is not 0 or 1"),
        ("ours", "--by software", "ours.csv has no column 'software', nor has theirs.csv"),
        ("ours", "--by cancer", "cancer tells no machines apart"),
        ("ours", "--by label", "label tells no machines apart"),
        ("ours", "--threshold nan", "not a finite number"),
        ("ours", "--threshold 0.4 --rule youden", "no rule chooses one"),
        ("ours", "--rule f1", "'f1' is unknown"),
        ("ours", "--columns label=malignant", "has no column 'malignant'"),
        ("nothing", "", "nothing.csv are not there"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    ours: str, more: str, says: str, files: Path, capsys: pytest.CaptureFixture
) -> None:
    if ours not in ("ours", "nothing"):
        _changed(files, ours)
    assert main(_words(files, *more.split(), ours=ours)) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.count("\n") == 1
    assert not (files / "out").exists()


def test_an_input_is_not_replaced(files: Path, capsys: pytest.CaptureFixture) -> None:
    (files / "ours.csv").rename(files / "scores_matched.csv")
    before = (files / "scores_matched.csv").read_bytes()
    words = _words(files, ours="scores_matched")
    words[words.index("-o") + 1] = str(files)
    assert main(words) == 2
    assert "would be replaced" in capsys.readouterr().err
    assert (files / "scores_matched.csv").read_bytes() == before


def _told(files: Path, ours: str, by: tuple[str, ...] = ()) -> str:
    paths = files / "theirs.csv", files / f"{ours}.csv"
    return "\n".join(match_files(*paths, None, by, NAMES, NAMES, resampling=Resampling(20)))


def test_a_file_with_itself_and_patients_in_both(files: Path) -> None:
    shown = _told(files, "theirs")
    for part in (
        "are the same file: matching changes nothing", "300 patients are in both files, such as 'a0'",
        "matching takes prevalence and case mix for the same", "is not shown to differ from the reference's",
    ):  # fmt: skip
        assert part in shown
    assert "differ in prevalence" not in shown
    table = read_predictions(files / "theirs.csv", NAMES)
    assert (match_predictions(table, table).site["score"] == table["score"]).all()


def test_another_case_mix_and_machines_that_do_not_say_who_they_are(files: Path) -> None:
    sick = pd.read_csv(files / "ours.csv").assign(age=70, density="D", decision=1, split="test")
    sick = pd.concat([sick[sick["cancer"] == 1], sick[sick["cancer"] == 0].iloc[:120]])
    sick["manufacturer"] = ["x "] * 60 + ["X"] * 60 + ["nan"] * 60 + [""] * 60
    sick.loc[sick.index[:5], "split"] = "train"
    sick.to_csv(files / "sick.csv", index=False)
    theirs = pd.read_csv(files / "theirs.csv").assign(age=[f"0{50 + number % 9}Y" for number in range(600)])
    theirs.assign(density="A").to_csv(files / "theirs.csv", index=False)
    shown = _told(files, "sick", ("manufacturer", "manufacturer"))
    for part in (
        "theirs.csv and sick.csv, x differ in prevalence 0.200 and 1.000", "median age 54 and 70",
        "density A 1.00 D 0.00 and A 0.00 D 1.00",
        "theirs.csv and sick.csv, unknown differ in prevalence 0.200 and 0.000",
        "machines 'x' and 'X' differ in their spelling alone",
        "a machine of its own is taken for each of unknown", "not in theirs.csv: x; unknown.",
        "sick.csv: 5 rows of the split 'train'", "decision of sick.csv is of the score before",
    ):  # fmt: skip
        assert part in shown, part


def test_nothing_is_loaded_that_is_not_used(files: Path) -> None:
    """Half of what the command took was loading: figures load Matplotlib, no test of numbers all of SciPy's."""
    code = (
        "import sys\nfrom pathlib import Path\n"
        "from mammo_tf.adaptation.shift_files import matching_warning\n"
        "from mammo_tf.evaluation import Resampling\n"
        "from mammo_tf.reporting.matching import match_files\n"
        f"lines = match_files(*[f'{files}/{{name}}.csv' for name in ('theirs', 'ours')], None, ['manufacturer'],\n"
        f"    {NAMES!r}, {NAMES!r}, resampling=Resampling(20), judge=matching_warning)\n"
        "assert any('the shift is' in line for line in lines), lines\n"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'jinja2', 'sklearn', 'cv2', 'scipy.stats', 'scipy.optimize'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
