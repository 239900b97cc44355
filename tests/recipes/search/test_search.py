"""A search is one search however often it is stopped: no trial is lost or repeated, and the running one goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammo_tf import claims
from mammo_tf.claims import LOCK
from mammo_tf.cli.main import main
from mammo_tf.errors import MammoError
from mammo_tf.evaluation import auc
from mammo_tf.files import read_json
from mammo_tf.recipes import load_recipe, run
from mammo_tf.recipes.recipe_file import RecipeFile
from mammo_tf.recipes.search import search as searching
from mammo_tf.recipes.search import trials as trials_of
from mammo_tf.recipes.search.best import Origin, write_best
from mammo_tf.recipes.search.objective import OBJECTIVES
from mammo_tf.recipes.search.result import write_result
from mammo_tf.recipes.search.search import best_of, search_trials
from mammo_tf.recipes.search.settings import Search
from mammo_tf.recipes.search.space import Space
from mammo_tf.recipes.search.trial_log import Begun, Ended, Trial, TrialLog
from mammo_tf.recipes.search.trials import Ground, run_trial, shortened, validation_of
from mammo_tf.records import Records
from mammo_tf.training import fit

LITTLE = Path(__file__).with_name("little.py")
SEARCH = Search("random", 2, seed=1)


@pytest.fixture(scope="module")
def file() -> RecipeFile:
    return RecipeFile(LITTLE)


@pytest.fixture(scope="module")
def space(file: RecipeFile) -> Space:
    return file.made("space", Space, "search space")


@pytest.fixture(scope="module")
def recipe() -> object:
    return load_recipe(LITTLE)


class Stop(BaseException):
    """A kill, as it were: nothing is told of it."""


class Epochs:
    """Counts the epochs whose state is written, and stops the process behind one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: int = 0) -> None:
        self.count, self.stop, self.save = 0, stop, fit.save_state
        monkeypatch.setattr(fit, "save_state", self)

    def __call__(self, *arguments: object) -> None:
        self.save(*arguments)  # type: ignore[arg-type]
        self.count += 1
        if self.count == self.stop:
            raise Stop


def results(trials: list[Trial]) -> list[tuple[Begun, object]]:
    """What does not hang on the clock."""
    return [(one.begun, one.ended and replace(one.ended, seconds=0.0)) for one in trials]


@pytest.fixture(scope="module")
def whole(recipe, space: Space, records: Records, tmp_path_factory) -> Iterator[tuple[Ground, list[Trial]]]:
    """A search that nothing stopped, of two trials of three epochs."""
    with pytest.MonkeyPatch.context() as patch:
        epochs = Epochs(patch)
        folder = tmp_path_factory.mktemp("search") / "whole"
        found = search_trials(recipe, space, SEARCH, folder, records.folder)
        assert epochs.count == 6
        yield found


def test_every_trial_is_scored_on_validation_alone(whole, records: Records) -> None:
    ground, trials = whole
    assert [trial.name for trial in trials] == ["0000", "0001"]
    for trial in trials:
        table = validation_of(ground.place(trial.name))
        assert set(table["split"]) == {"validation"}
        assert len(table) == len(records.positions("validation"))
        assert trial.score == pytest.approx(auc(table["label"], table["score"]))
        assert trial.ended is not None and trial.ended.epochs == 3
        kept = read_json(ground.place(trial.name) / "recipe.json")["recipe"]
        assert kept["phases"][0]["stages"][0]["rate"] == trial.begun.labels["stages.one.rate"]
    best = best_of(trials)
    assert best is not None
    left = [trial.name for trial in trials if (ground.place(trial.name) / "checkpoints").exists()]
    assert left == [best.name], "checkpoints of the others are removed"


@pytest.mark.parametrize("stop", [5])
def test_a_search_that_was_stopped_ends_as_one_that_was_not(
    stop: int, whole, recipe, space: Space, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, wanted = whole
    with monkeypatch.context() as patch:
        Epochs(patch, stop)
        with pytest.raises(Stop):
            search_trials(recipe, space, SEARCH, tmp_path, records.folder)
    log = tmp_path / "trials.jsonl"
    log.write_bytes(log.read_bytes() + b'{"kind": "ended", "trial": "0001", "sco')  # a line that a kill cut off
    with monkeypatch.context() as patch:
        epochs = Epochs(patch)
        again, trials = search_trials(recipe, space, SEARCH, tmp_path, records.folder)
        assert epochs.count == 6 - stop, "no epoch is trained twice"
    assert results(trials) == results(wanted)
    for trial in trials:
        for name in ("predictions_validation.csv", "recipe.json"):
            mine, theirs = (one.place(trial.name) / name for one in (again, ground))
            assert mine.read_bytes() == theirs.read_bytes(), name
    begun: list[str] = []
    monkeypatch.setattr(searching, "run_trial", lambda _, one, __: begun.append(one.trial) or Ended(one.trial, 0.5))
    assert results(search_trials(recipe, space, SEARCH, tmp_path, records.folder)[1]) == results(wanted)
    assert not begun
    more = search_trials(recipe, space, replace(SEARCH, trials=4), tmp_path, records.folder)[1]
    assert begun == ["0002", "0003"], "more trials may be asked for later"
    assert results(more)[:2] == results(wanted)


def test_a_longer_rung_goes_on_exactly_where_the_shorter_one_was(
    whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights, optimiser and counters: as the trial that was trained in one go."""
    ground, trials = whole
    mine, labels = replace(ground, folder=tmp_path), trials[0].begun.labels
    epochs = Epochs(monkeypatch)
    first = run_trial(mine, Begun("a", labels, 1), print)
    on = run_trial(mine, Begun("b", labels, 3, "a"), print)
    assert epochs.count == 3
    assert (first.epochs, on.epochs) == (1, 3)
    assert on.score == trials[0].score
    paths = [one / "predictions_validation.csv" for one in (mine.place("b"), ground.place(trials[0].name))]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert not list(mine.place("b").glob(".checkpoints*"))


@pytest.mark.long
def test_a_rung_that_reaches_the_second_stage_goes_on_exactly(whole, tmp_path: Path) -> None:
    ground = replace(whole[0], folder=tmp_path, recipe=load_recipe(LITTLE, "two-stages"))
    labels = whole[1][0].begun.labels
    run_trial(ground, Begun("a", labels, 1), print)
    run_trial(ground, Begun("b", labels, 3, "a"), print)
    run_trial(ground, Begun("c", labels, 3), print)
    paths = [ground.place(name) / "predictions_validation.csv" for name in "bc"]
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_the_best_is_a_recipe_file_that_runs_and_need_not_be_trained_again(
    whole, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground, trials = whole
    best = best_of(trials)
    assert best is not None and best.score is not None
    path = tmp_path / "best.py"
    write_best(ground, best, Origin(LITTLE), "the best", path)
    found = load_recipe(path)
    assert found.to_json() == ground.recipe_of(best.begun).to_json()
    assert found.stages[0].rate == best.begun.labels["stages.one.rate"]
    epochs = Epochs(monkeypatch)
    result = run(found, ground.place(best.name), records.folder)
    assert epochs.count == 0
    assert result.metrics["validation"]["image"]["auc"]["value"] == pytest.approx(best.score)
    path.unlink()
    with pytest.raises(MammoError, match="does not give the recipe"):
        write_best(ground, best, Origin(LITTLE, settings=[("training.seed", "3")]), "the best", path)
    assert not path.exists()


def test_the_result_tells_what_was_found(whole) -> None:
    ground, trials = whole
    content = write_result(ground, SEARCH, trials)
    best = best_of(trials)
    assert best is not None
    assert content["best"] == best.name == content["trials"][0]["name"]
    assert f"{best.score:.3f}" in content["answer"]
    selection = content["selection"]
    tables = [validation_of(ground.place(trial.name)) for trial in trials]
    assert selection["best"] == best.score
    assert selection["selection"] == OBJECTIVES["val_auc"].selection(tables).selection
    assert "validation patients choose with much noise" in " ".join(content["notes"])
    assert content["importance"]["note"] == "2 trials are too few to say which field mattered"
    page = (ground.folder / "report.html").read_text()
    assert content["answer"] in page and "Not counted" in page
    lines = (ground.folder / "trials.csv").read_text().splitlines()
    assert len(lines) == 3 and lines[0].startswith("trial,score,stages.one.rate,")
    with pytest.raises(MammoError, match="none of 1 trials has a score"):
        write_result(ground, SEARCH, [Trial(trials[0].begun, Ended("0000", None, why="it burst"))])


def test_another_recipe_space_or_version_is_refused_and_what_differs_is_named(
    whole, recipe, space: Space, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = whole[0].folder
    before = sorted(path.name for path in folder.iterdir())
    wider = Space(
        {**space.fields, "training.augmentation.shift": replace(space.fields["training.augmentation.shift"], high=0.2)}
    )  # type: ignore[arg-type]  # noqa: E501
    another = replace(recipe, training=replace(recipe.training, seed=7))
    for wrong, words in (
        ((another, space, SEARCH), r"another search \(training.seed differs\)"),
        ((recipe, wider, SEARCH), r"another search \(space.fields.training.augmentation.shift.high differs\)"),
        ((recipe, space, replace(SEARCH, seed=2)), r"another search \(search.seed differs\)"),
    ):
        with pytest.raises(MammoError, match=words) as caught:
            search_trials(*wrong, folder, records.folder)
        assert caught.value.code == "other_search"
    monkeypatch.setattr(searching, "versions", lambda: {"mammo_tf": "0.0.1"})
    with pytest.raises(MammoError, match="versions.mammo_tf differs"):
        search_trials(recipe, space, SEARCH, folder, records.folder)
    assert sorted(path.name for path in folder.iterdir()) == before


def test_trials_that_fail_are_told_and_three_in_a_row_end_the_search(
    recipe, space: Space, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def burst(*_: object, **__: object) -> None:
        raise MammoError("loss_not_finite", "the loss burst")

    monkeypatch.setattr(trials_of, "train", burst)
    for _ in range(2):  # it stays so
        with pytest.raises(MammoError, match="3 trials in a row failed, the last because the loss burst"):
            search_trials(recipe, space, Search("random", 9), tmp_path, records.folder)
    log = TrialLog(tmp_path / "trials.jsonl")
    log.read()
    assert [one.ended and one.ended.why for one in log.trials.values()] == ["the loss burst"] * 3
    monkeypatch.setattr(trials_of, "train", lambda *_, **__: (_ for _ in ()).throw(MammoError("disk_full", "full")))
    with pytest.raises(MammoError, match="full"):
        search_trials(recipe, space, SEARCH, tmp_path / "b", records.folder)
    log = TrialLog(tmp_path / "b" / "trials.jsonl")
    log.read()
    assert [one.trial for one in log.running] == ["0000"], "what is not the trial's fault leaves it running"


HOLD = """
import fcntl, sys, time
stream = open(sys.argv[1], "w")
fcntl.flock(stream, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_a_trial_that_another_process_works_at_is_left_to_it(
    recipe, space: Space, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []

    def stop(ground: Ground, trial: Begun, say: object) -> Ended:
        begun.append(trial.trial)
        if len(begun) == 1:
            raise Stop
        return Ended(trial.trial, 0.5)

    monkeypatch.setattr(searching, "run_trial", stop)
    with pytest.raises(Stop):
        search_trials(recipe, space, SEARCH, tmp_path, records.folder)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "trials" / "0000" / LOCK)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        if line.startswith("waits for 0000"):
            holder.kill()
            holder.wait()

    done = search_trials(recipe, space, SEARCH, tmp_path, records.folder, say=say)[1]
    assert begun == ["0000", "0001", "0000"], "others first; then its process died, and it is taken up"
    assert "trial 0000 goes on" in told
    assert [trial.score for trial in done] == [0.5] * 2


def test_a_file_system_without_locks_is_told(
    whole, recipe, space: Space, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "_take_lock", lambda *_: None)
    told: list[str] = []
    search_trials(recipe, space, SEARCH, whole[0].folder, records.folder, say=told.append)
    assert [line for line in told if "has no locks: one process at a time" in line]


def test_machines_of_a_cluster_are_told_how_to_share_a_search(
    recipe, space: Space, records: Records, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "in_cluster", lambda: True)
    with pytest.raises(MammoError, match="Unset TF_CONFIG, and give the same command on each machine"):
        search_trials(recipe, space, SEARCH, tmp_path / "out", records.folder)
    assert not (tmp_path / "out").exists()


def test_epochs_are_counted_through_the_stages(recipe, file: RecipeFile) -> None:
    two = load_recipe(LITTLE, "two-stages")
    counted = [[(one.name, one.epochs) for one in shortened(two, epochs).stages] for epochs in (1, 3, 9)]
    assert counted == [[("one", 1)], [("one", 2), ("two", 1)], [("one", 2), ("two", 2)]]
    with pytest.raises(MammoError, match="other has 2"):
        shortened(file.made("other", type(recipe), "variant"), 3)


def test_dice_is_the_mean_of_what_counts_and_trials_of_other_rows_are_not_compared() -> None:
    rows = {"image_id": list("abcd"), "patient_id": list("ppqq"), "label": [1, 0, 1, 1], "split": ["validation"] * 4}
    first = pd.DataFrame({**rows, "dsc": [0.5, np.nan, 0.7, 0.9]})
    second = pd.DataFrame({**rows, "dsc": [0.4, 0.0, 0.5, 0.9]})
    dice = OBJECTIVES["val_dice"]
    assert dice.score(first) == pytest.approx(0.7)
    assert dice.score(second) == pytest.approx(0.45)
    with pytest.raises(MammoError, match="validation gives no Dice"):
        dice.score(first.assign(dsc=np.nan))
    with pytest.raises(MammoError, match="different patches or pictures"):
        dice.selection([first, second.assign(image_id=list("abdc"))])
    assert dice.selection([first, second], 50).best == pytest.approx(0.7)


def test_a_damaged_request_or_log_is_one_line(whole, recipe, space: Space, records: Records, tmp_path: Path) -> None:
    for name, code in (("search.json", "json_broken"), ("trials.jsonl", "log_damaged")):
        folder = tmp_path / name
        folder.mkdir()
        for kept in ("search.json", "trials.jsonl"):
            shutil.copy(whole[0].folder / kept, folder)
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content.replace(b'"', b"'", 3))
        with pytest.raises(MammoError) as caught:
            search_trials(recipe, space, SEARCH, folder, records.folder)
        assert caught.value.code == code


def fails(capsys, *words: object) -> str:
    assert main(["tune", *map(str, words)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("mammo-tf: ") and said.count("\n") == 1, said
    return said


def test_bad_input_is_one_line_before_anything_is_written(capsys, records: Records, tmp_path: Path) -> None:
    common = (LITTLE, "--data", records.folder, "-o", tmp_path / "out")
    for words, line in (
        (("--space", "unknown"), "stages.one.rat cannot be searched: there is no field"),
        (("--space", "empty"), "the range of stages.one.rate is empty: 0.001 to 0.001"),
        (("--space", "spaces"), "has no search space 'spaces'"),
        (("--variant", "other", "--method", "hyperband"), "hyperband counts the epochs of one phase"),
        (("--method", "hyperband", "--trials", 3), "hyperband counts its trials by the epochs"),
        (("--set", "training.sed=1"), "there is no field 'training.sed'. Did you mean training.seed?"),
    ):
        assert line in fails(capsys, *common, *words)
        assert not (tmp_path / "out").exists()
    assert "there are no images to run on" in fails(capsys, LITTLE, "-o", tmp_path / "out")
    assert "space gives no Recipe" in fails(capsys, *common, "--variant", "space")
