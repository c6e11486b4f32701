"""Run jobs and sensors here, in this process, on the home's own Dagster instance, so that its page shows them."""

import errno
import io
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from datetime import datetime
from typing import Any, TextIO

import dagster as dg
import psutil
from dagster._core.errors import DagsterAssetCheckFailedError  # its public module lacks this one
from dagster._core.utils import make_new_run_id

from assets.resources import Loop
from labeling.errors import CheckFailed, CxloopError, StorageError
from labeling.home import Home
from pipelines.definitions import build_definitions

_PROCESS_TAG = "cxloop/process"
_TALKATIVE = ("sqlalchemy.pool", "mlflow.store.db.utils")
"""Loggers that print a traceback, values and all, beside the error that is raised anyway (a full disk, Ctrl-C)."""
_REPEATED = "Exception while writing logger call to event log"
"""What Dagster prints, traceback and all, beside the error that it raises anyway."""
_ROOM = 1 << 20
"""Free bytes below which SQLite's "disk I/O error" means a full disk: it says no more where it cannot grow its log."""
_DAGSTER_YAML = """\
telemetry:
  enabled: false
nux:
  enabled: false
compute_logs:  # what a step prints is not kept: it could hold a customer's text
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def prepare_dagster(home: Home) -> None:
    """Make the home's Dagster folder, without telemetry."""
    home.dagster.mkdir(parents=True, exist_ok=True)
    settings = home.dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text(_DAGSTER_YAML, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home.dagster)
    os.environ["CXLOOP_HOME"] = str(home.path)


@contextmanager
def open_instance(home: Home) -> Iterator[dg.DagsterInstance]:
    """Open the home's persistent Dagster instance."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    prepare_dagster(home)
    with dg.DagsterInstance.from_config(str(home.dagster)) as instance:
        yield instance


@contextmanager
def told_when_full(home: Home) -> Iterator[None]:
    """Say plainly that the disk is full, whichever library met it.

    Raises:
        StorageError: the disk is full.
    """
    try:
        yield
    except Exception as error:
        if any(_is_full(cause, home) for cause in _causes(error)):
            raise StorageError(
                f"home {home.path} cannot be written: the disk is full; free some space and give the same command "
                "again, nothing was lost"
            ) from error
        raise


@contextmanager
def no_lost_interrupt() -> Iterator[None]:
    """Let no Ctrl-C get lost in the block: Dagster forgets one that comes after a run's last step.

    Raises:
        KeyboardInterrupt: Ctrl-C came, whatever was made of it inside.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in (ours, theirs):
            end.setblocking(False)
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        except Exception as error:
            if _was_interrupted(ours):
                raise KeyboardInterrupt from error
            raise
        finally:
            signal.set_wakeup_fd(before)
        if _was_interrupted(ours):
            raise KeyboardInterrupt


def _was_interrupted(wakeups: socket.socket) -> bool:
    try:
        return signal.SIGINT in wakeups.recv(4096)
    except BlockingIOError:
        return False


class Runner:
    """Runs the loop's jobs and sensors one after the other, as Dagster's daemon would.

    Args:
        home: whose loop.
        instance: from ``open_instance``.
        desk: label_studio or fake.
    """

    def __init__(self, home: Home, instance: dg.DagsterInstance, *, desk: str = "label_studio") -> None:
        self._home = home
        self._instance = instance
        self._desk = desk
        self._definitions = build_definitions(home)
        close_dead_runs(instance)

    def run(
        self,
        job: str,
        *,
        now: datetime | None = None,
        tags: dict[str, str] | None = None,
        ops: dict[str, Any] | None = None,
        assets: Sequence[str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run ``job`` to its end.

        Args:
            job: its name, such as ``collect_job``.
            now: what the clock says, the real time by default.
            tags: put on the run.
            ops: configuration by op, such as ``{"feedback": {"config": {"source": "crm"}}}``.
            assets: which of its assets to make, all by default.

        Raises:
            CheckFailed: an asset check that blocks failed.
            CxloopError: what else went wrong, where cxloop foresaw it.
            KeyboardInterrupt: Ctrl-C stopped it.
            dagster.DagsterError: anything else.
        """
        definition = self._definitions.resolve_job_def(job)
        mine = {_PROCESS_TAG: str(os.getpid()), **(tags or {})}
        run_id = make_new_run_id()
        try:
            with no_lost_interrupt(), redirect_stderr(_Unrepeated(sys.stderr)):
                return definition.execute_in_process(
                    instance=self._instance,
                    run_config={**self._config(now), "ops": ops or {}},
                    tags=mine,
                    run_id=run_id,
                    raise_on_error=True,
                    asset_selection=[dg.AssetKey(name) for name in assets] if assets else None,
                )
        except DagsterAssetCheckFailedError as error:
            raise self._unmet(job, run_id) from error
        except dg.DagsterExecutionStepExecutionError as error:
            raise _foreseen(error) or error from error
        except dg.DagsterExecutionInterruptedError as error:
            raise KeyboardInterrupt from error

    def _unmet(self, job: str, run_id: str) -> CheckFailed:
        """Return what the checks of a run that stopped said, with what was made before them."""
        evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
        events = [entry.dagster_event for entry in self._instance.all_logs(run_id) if entry.dagster_event]
        checked = [event.asset_check_evaluation_data for event in events if event.event_type == evaluated]
        unmet = [
            f"{one.asset_key.to_user_string()}: {one.description or one.check_name}"
            for one in checked
            if not one.passed and one.severity == dg.AssetCheckSeverity.ERROR
        ]
        return CheckFailed(f"{job} stopped: {'; '.join(unmet)}", facts_of(events))

    def evaluate(self, sensor: str, *, now: datetime | None = None) -> list[dg.ExecuteInProcessResult]:
        """Evaluate ``sensor`` once and run what it asks for, unless that ran before.

        A run key that a finished run carries already is not run again, as Dagster's daemon does it.
        """
        definition = self._definitions.resolve_sensor_def(sensor)
        with dg.build_sensor_context(
            instance=self._instance, resources={"loop": self.loop(now)}, definitions=self._definitions
        ) as context:
            asked = definition.evaluate_tick(context).run_requests or []
        done = {run.tags.get("dagster/run_key") for run in self._instance.get_runs() if run.is_success}
        return [
            self.run(str(definition.job_name), now=now, tags={**request.tags, **_tags_of(sensor, request.run_key)})
            for request in asked
            if request.run_key is None or request.run_key not in done
        ]

    def loop(self, now: datetime | None = None) -> Loop:
        """Return the loop as the jobs see it at ``now``."""
        return Loop(**self._loop_fields(now))

    def _loop_fields(self, now: datetime | None) -> dict[str, Any]:
        return {"home": str(self._home.path), "now_is": now.isoformat() if now else "", "desk": self._desk}

    def _config(self, now: datetime | None) -> dict[str, Any]:
        return {
            "resources": {"loop": {"config": self._loop_fields(now)}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        }


def facts_of(events: Iterable[dg.DagsterEvent]) -> dict[str, dict[str, Any]]:
    """Return what each asset said of what was made in ``events``, by name."""
    made = [event.step_materialization_data.materialization for event in events if event.is_step_materialization]
    return {one.asset_key.to_user_string(): {name: value.value for name, value in one.metadata.items()} for one in made}


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs as failed whose process was killed, so that they do not look as if they still ran."""
    open_ones = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    started = dg.RunsFilter(statuses=open_ones)
    for run in instance.get_runs(filters=started):
        process = run.tags.get(_PROCESS_TAG)
        if process and not psutil.pid_exists(int(process)):
            instance.report_run_failed(run, "its process was killed")


def _tags_of(sensor: str, run_key: str | None) -> dict[str, str]:
    """Return the tags that Dagster's daemon puts on a run that a sensor asked for."""
    return {"dagster/sensor_name": sensor, **({"dagster/run_key": run_key} if run_key else {})}


def _foreseen(error: BaseException) -> CxloopError | None:
    """Return the foreseen error that ``error`` was raised from, if there is one."""
    return next((cause for cause in _causes(error) if isinstance(cause, CxloopError)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, what it was raised from, and so on; each once, because such chains can close on themselves."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def _is_full(error: BaseException, home: Home) -> bool:
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return True
    said = str(error)
    if "disk I/O error" in said:
        return shutil.disk_usage(home.path).free < _ROOM
    return "No space left on device" in said or "disk is full" in said


class _Unrepeated(io.TextIOBase):
    """Standard error without what Dagster writes there about an error that it raises as well."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return len(text) if text.startswith(_REPEATED) else self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()
