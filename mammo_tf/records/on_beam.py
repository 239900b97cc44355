"""Records made by a pipeline of Apache Beam: a worker makes a shard, in the folder that launcher and workers share.

The launcher claims the folder, finds which shards are missing and lays the rows of each next to it. The pipeline
carries names of shards alone, so that its size does not follow the archive's. A worker does what a process of this
machine does; a shard that is made twice, which every runner allows itself, is the same and appears by rename. What an
earlier pipeline of a killed launcher still runs finds no rows any more, and ends with the shard that it is at.
"""

from __future__ import annotations

import io
import json
import logging
import secrets
import shlex
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from functools import partial
from pathlib import Path

import mammo_tf
from mammo_tf.errors import MammoError
from mammo_tf.files import read_json, write_json, write_text
from mammo_tf.records.parts import parts_beside, write_shard
from mammo_tf.records.picture_rows import PictureRows
from mammo_tf.records.prepare import MakeShards, Work, prepared_images

ROWS, FAILED = ".{}.{}.rows.json", ".{}.{}.failed.json"  # next to a shard while a pipeline runs; `prepare` tidies them
OF_A_JOB_SERVER = ("FlinkRunner", "SparkRunner", "PortableRunner")  # it may understand options that Beam here does not
AGAIN = "Give the same command again: shards that are whole are kept"
LOG = logging.getLogger("mammo_tf")
_one_shard = threading.Lock()  # runners give a process several at once; memory is that of one, and so is a core


def on_beam(text: str) -> MakeShards:
    """What makes missing shards by a pipeline, for `prepare`.

    Args:
        text: options of Beam, as its pipelines take them on a command line: `--runner=FlinkRunner ...`; without a
            runner Beam's own, in this process.

    Raises:
        MammoError: `extra_missing` where Beam is not installed, `option_wrong` for what it does not understand.
    """
    try:
        flags = shlex.split(text)
    except ValueError as error:
        raise MammoError("option_wrong", f"--beam {text!r} cannot be taken apart: {error}") from error
    _check_options(flags)
    return partial(_made, flags)


def _check_options(flags: list[str]) -> None:
    try:
        with _quiet():
            import apache_beam as beam
            from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "apache_beam":
            raise
        sentence = "the package apache-beam is not installed"
        raise MammoError("extra_missing", sentence, "pip install 'mammo_tf[beam]'") from error
    said = io.StringIO()
    try:
        with redirect_stderr(said), _quiet():
            options = PipelineOptions(flags)
            known, told = options.get_all_options(), options.get_all_options(retain_unknown_options=True)
            runner = options.view_as(StandardOptions).runner
    except SystemExit as error:
        raise MammoError("option_wrong", f"--beam: {said.getvalue().strip().rpartition('error: ')[2]}") from error
    unknown = [f"--{name}" for name in told if name not in known and runner not in OF_A_JOB_SERVER]
    unknown += [flag for flag in flags[:1] if not flag.startswith("--")]
    if unknown:
        remedy = "Write its options as --NAME=VALUE, joined by blanks"
        raise MammoError("option_wrong", f"Beam has no option {unknown[0]}", remedy)
    try:
        with _quiet():
            beam.Pipeline(options=PipelineOptions(flags))
    except Exception as error:  # noqa: BLE001 - each runner has errors of its own
        raise MammoError("option_wrong", f"--beam {shlex.join(flags)}: {_last_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Beam's notices are for those who ask for them by `-v`; its errors are for all."""
    before = logging.root.manager.disable
    logging.disable(before if LOG.isEnabledFor(logging.INFO) else logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _made(flags: Sequence[str], missing: Mapping[str, PictureRows], work: Work) -> None:
    """Runs the pipeline and looks at what it left next to each shard."""
    work = work._replace(folder=work.folder.resolve(), root=str(Path(work.root).resolve()))
    launch = secrets.token_hex(4)
    try:
        for name, rows in missing.items():
            (work.folder / f"{name}.json").unlink(missing_ok=True)  # of a shard that was damaged since
            write_text(work.folder / ROWS.format(name, launch), json.dumps(list(rows)))
        ended = _run(flags, list(missing), work, launch)
        made = sum(1 for _ in parts_beside(work.folder, list(missing)))
        if made < len(missing):
            lacking = f"{len(missing) - made} of {len(missing)} shards are not there"
            raise MammoError("beam_failed", f"the pipeline of Beam {ended}, and {lacking}", AGAIN)
    finally:
        for name in missing:
            for beside in (ROWS, FAILED):
                (work.folder / beside.format(name, launch)).unlink(missing_ok=True)


def _run(flags: Sequence[str], names: list[str], work: Work, launch: str) -> str:
    """How the pipeline ended, in a word or two."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    quiet = () if LOG.isEnabledFor(logging.INFO) else ("--default_sdk_harness_log_level=ERROR",)
    try:
        with _quiet():
            pipeline = beam.Pipeline(options=PipelineOptions([*quiet, *flags]))
            shards = pipeline | "missing shards" >> beam.Create(names)
            _ = shards | "make" >> beam.Map(make_shard, work, launch, mammo_tf.__version__)
            running = pipeline.run()
            state = running.wait_until_finish() or running.state
    except Exception as error:  # noqa: BLE001 - each runner has errors of its own
        LOG.info("the pipeline failed:\n%s", "".join(traceback.format_exception(error)))
        raise _why(error, [work.folder / FAILED.format(name, launch) for name in names]) from error
    return f"ended as {state}"


def _why(error: Exception, told_in: Sequence[Path]) -> MammoError:
    """The first failure that a worker could tell, else the last line of what the runner says."""
    for path in told_in:
        with suppress(MammoError, KeyError):
            told = read_json(path)
            return MammoError(told["code"], f"a worker of Beam: {told['sentence']}", told["remedy"] or AGAIN)
    return MammoError("beam_failed", f"the pipeline of Beam failed: {_last_line(error)}", AGAIN)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


def make_shard(name: str, work: Work, launch: str, version: str) -> None:
    """Makes one shard, on a worker.

    Args:
        name: of the shard, without an ending; its rows lie next to it.
        work: with paths that are the same here as for the launcher.
        launch: tells a pipeline from an earlier one.
        version: of the launcher's package.

    Raises:
        MammoError: `worker_differs` where the package here is another one, `folder_unseen` where the folder or the root
            is not there, `disk_full`, `read_only`, `worker_failed`. It is kept next to the shard for the launcher.
    """
    rows = work.folder / ROWS.format(name, launch)
    with _one_shard:
        try:
            _check_place(work, version)
            write_shard(work.folder / name, prepared_images(read_json(rows), work), work.tile)
        except MammoError as error:
            if not rows.is_file():  # nobody waits for this pipeline any more
                raise
            with suppress(MammoError, OSError):
                told = {"code": error.code, "sentence": error.sentence, "remedy": error.remedy}
                write_json(work.folder / FAILED.format(name, launch), told)
            raise


def _check_place(work: Work, version: str) -> None:
    if version != mammo_tf.__version__:
        sentence = f"mammo_tf {mammo_tf.__version__} is installed where the launcher has {version}"
        raise MammoError("worker_differs", sentence, "Install the same on all")
    for folder in (work.folder, Path(work.root)):
        if not folder.is_dir():
            sentence = f"{folder} is not there"
            raise MammoError("folder_unseen", sentence, "Name root and output as all workers see them")
