"""The pages that ``cxloop up`` serves over one home: Dagster's, MLflow's, Label Studio's, reports, the reviewers'."""

import contextlib
import fcntl
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

from labeling.desk.server import USERNAME, RunningServer, find_label_studio, start_server
from labeling.errors import HomeError
from labeling.home import Home
from pipelines.environment import SETTINGS
from pipelines.processes import LOOPBACK, Running, find_port, start_program, wait_until_answering
from serving.reports import HEALTH, PASSWORD
from serving.reports import USERNAME as REVIEWER
from serving.reviewers import HEALTH as REVIEWERS_HEALTH
from serving.reviewers import MLFLOW_URI

if TYPE_CHECKING:
    from assets.settings import Settings

_START_SECONDS: Final = 120.0

Tell = Callable[[str], None]
"""Called with one line on what is being done."""


@dataclass(frozen=True)
class Page:
    """One page that people open: its address, who uses it, and what they need to sign in (empty where nothing)."""

    name: str
    url: str
    who: str
    sign_in: str = ""


@dataclass
class Services:
    """What one ``up`` serves: its pages, and the programs behind those that it started."""

    pages: list[Page] = field(default_factory=list)
    programs: list[Running] = field(default_factory=list)
    label_studio: RunningServer | None = None
    label_studio_log: Path = Path()

    def find_ended(self) -> dict[str, Path]:
        """Return the programs that ended by themselves, each with its log."""
        ended = {program.name: program.log for program in self.programs if not program.is_alive}
        if self.label_studio and not psutil.pid_exists(self.label_studio.pid):
            ended["Label Studio"] = self.label_studio_log
        return ended


@dataclass(frozen=True)
class Up:
    """A running ``cxloop up``: its process, since when (UTC), and its pages."""

    pid: int
    since: datetime
    pages: tuple[Page, ...]


@contextlib.contextmanager
def serve(home: Home, settings: "Settings", *, now: datetime, tell: Tell) -> Iterator[Services]:
    """Start every page that the settings do not place elsewhere; stop all of them on the way out.

    Programs run under guards, so that they end even where this process is killed.

    Raises:
        HomeError: another ``cxloop up`` serves this home.
        DeskError: Label Studio is not installed or does not start.
        ServiceError: Dagster's or MLflow's page does not start; names the log.
    """
    with _only_one(home) as register, contextlib.ExitStack() as started:
        if not settings.services.label_studio.url:
            find_label_studio()
        starter = _Starter(home, settings, started, tell)
        starter.serve_mlflow()
        dagster = starter.start_dagster()
        reports = starter.start_reports()
        reviewers = starter.start_reviewers()
        starter.serve_label_studio()
        wait_until_answering(dagster, "/server_info", seconds=_START_SECONDS)
        if reports:
            wait_until_answering(reports, HEALTH, seconds=_START_SECONDS)
        if reviewers:
            wait_until_answering(reviewers, REVIEWERS_HEALTH, seconds=_START_SECONDS)
        register(Up(os.getpid(), now, tuple(starter.services.pages)))
        started.callback(tell, "stopping")
        yield starter.services


@contextlib.contextmanager
def embedded_label_studio(home: Home, *, port: int | None, tell: Tell) -> Iterator[RunningServer]:
    """Run a Label Studio over ``home`` for as long as the block lasts, where jobs find it.

    One that another process runs over this home already is used and left running.

    Args:
        home: whose cases and answers.
        port: where to listen; None takes any free port.
        tell: told what is being waited for.

    Raises:
        DeskError: it is not installed, does not start, or was made with another token.
    """
    token, password = home.secret("CXLOOP_LABEL_STUDIO_TOKEN"), home.secret("CXLOOP_LABEL_STUDIO_PASSWORD")
    with start_server(home.label_studio, token=token, password=password, port=port, on_progress=tell) as server:
        yield server


def describe_sign_in(home: Home) -> str:
    """Return whom to sign in as at the embedded Label Studio, and where the password is."""
    return f"{USERNAME} and CXLOOP_LABEL_STUDIO_PASSWORD of {home.path / 'secrets.env'}"


def find_up(home: Home) -> Up | None:
    """Return the ``cxloop up`` that serves ``home`` now, None where there is none."""
    path = _register_path(home)
    if not path.exists():
        return None
    with path.open("r", encoding="utf-8") as held:
        if _lock(held.fileno()):
            return None  # what the file says was written by one that ended
        content = held.read()
    if not content:
        return None  # still starting
    said = json.loads(content)
    pages = tuple(Page(**page) for page in said["pages"])
    return Up(said["pid"], datetime.fromisoformat(said["since"]), pages)


@dataclass
class _Starter:
    """Starts the programs of one home one by one, and has each stopped with ``started``."""

    home: Home
    settings: "Settings"
    started: contextlib.ExitStack
    tell: Tell
    services: Services = field(default_factory=Services)

    def serve_mlflow(self) -> None:
        """Serve the registry's pages, and wait for them; the database is made before, whole or not at all."""
        from training.registry.mlflow_store import make_store

        who = "ML engineers look at experiments and versions"
        if address := self.settings.services.mlflow.tracking_uri:
            self.services.pages.append(Page("MLflow", address, who))
            return
        port = self._claim_port("MLflow", self.settings.services.mlflow.port)
        artifacts = str(self.home.mlflow_artifacts)
        self.home.mlflow_artifacts.mkdir(parents=True, exist_ok=True)
        command = ["mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
        command += ["--backend-store-uri", self.home.mlflow_uri]
        command += ["--default-artifact-root", artifacts, "--artifacts-destination", artifacts]
        make_store(self.home.mlflow_uri)
        program = self._start("MLflow", command, port)
        wait_until_answering(program, "/health", seconds=_START_SECONDS)
        self.services.pages.append(Page("MLflow", f"{program.url}/#/models", who))

    def start_dagster(self) -> Running:
        """Start Dagster's page and daemon without waiting for them."""
        from pipelines.running import prepare_dagster

        port = self._claim_port("Dagster", self.settings.services.dagster.port)
        prepare_dagster(self.home)
        command = ["dagster", "dev", "--host", LOOPBACK, "--port", str(port), "-m", "pipelines.definitions"]
        program = self._start("Dagster", command, port)
        self.services.pages.insert(0, Page("Dagster", program.url, "ML engineers schedule, start and inspect runs"))
        return program

    def start_reports(self) -> Running | None:
        """Start the pages of the home's reports without waiting for them."""
        who = "reviewers read how good the labels are"
        if address := self.settings.services.reports.url:
            self.services.pages.append(Page("Reports", address, who))
            return None
        port = self._claim_port("Reports", self.settings.services.reports.port)
        program = self._start("Reports", ["serving.reports", str(port)], port)
        self.home.secret(PASSWORD)  # made now, so that it stands there once the page does
        sign_in = f"{REVIEWER} and {PASSWORD} of {self.home.path / 'secrets.env'}"
        self.services.pages.append(Page("Reports", program.url, who, sign_in))
        return program

    def start_reviewers(self) -> Running | None:
        """Start the reviewers' page without waiting for it."""
        who = "reviewers compare a challenger with the champion, and decide"
        if address := self.settings.services.reviewers.url:
            self.services.pages.append(Page("Reviewers", address, who))
            return None
        port = self._claim_port("Reviewers", self.settings.services.reviewers.port)
        registry = {MLFLOW_URI: self.settings.services.mlflow.tracking_uri}
        program = self._start("Reviewers", ["serving.reviewers", str(port)], port, env=registry)
        sign_in = "a token of your own; `cxloop reviewers add NAME` makes one"
        self.services.pages.append(Page("Reviewers", program.url, who, sign_in))
        return program

    def serve_label_studio(self) -> None:
        """Serve the labelling desk."""
        who = "agents and annotators read cases and label"
        if address := self.settings.services.label_studio.url:
            self.services.pages.append(Page("Label Studio", address, who))
            return
        port = self._claim_port("Label Studio", self.settings.services.label_studio.port)
        server = self.started.enter_context(embedded_label_studio(self.home, port=port, tell=self.tell))
        self.services.label_studio, self.services.label_studio_log = server, self.home.label_studio / "server.log"
        self.services.pages.append(Page("Label Studio", server.url, who, describe_sign_in(self.home)))

    def _start(self, name: str, module: list[str], port: int, *, env: Mapping[str, str] | None = None) -> Running:
        self.tell(f"starting {name}")
        program = start_program(
            name,
            [sys.executable, "-m", *module],
            url=f"http://{LOOPBACK}:{port}",
            log=self.home.run / f"{name.lower()}.log",
            folder=self.home.run,
            env={
                **SETTINGS,
                "CXLOOP_HOME": str(self.home.path),
                "DAGSTER_HOME": str(self.home.dagster),
                **(env or {}),
            },
        )
        self.started.callback(program.stop)
        self.services.programs.append(program)
        return program

    def _claim_port(self, name: str, wanted: int) -> int:
        taken = [int(program.url.rsplit(":", 1)[1]) for program in self.services.programs]
        port = find_port(wanted, taken=taken)
        if port != wanted:
            self.tell(f"port {wanted} is busy: {name} goes to {port} (its usual port is set in settings.yaml)")
        return port


def _register_path(home: Home) -> Path:
    return home.run / "up.json"


@contextlib.contextmanager
def _only_one(home: Home) -> Iterator[Callable[[Up], None]]:
    """Hold the home's register; yield the function that writes what runs into it."""
    home.run.mkdir(parents=True, exist_ok=True)
    with _register_path(home).open("a+", encoding="utf-8") as held:
        if not _lock(held.fileno()):
            raise HomeError(
                f"home {home.path} is served by another `cxloop up`: use its pages (`cxloop status` shows them), "
                "or stop it with Ctrl-C first"
            )

        def register(up: Up) -> None:
            held.truncate(0)
            held.write(json.dumps({**asdict(up), "since": up.since.isoformat()}))
            held.flush()

        held.truncate(0)
        yield register
        held.truncate(0)


def _lock(descriptor: int) -> bool:
    """Take the lock of an open file if nobody holds it; whether it was taken. It is released with the file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
