"""Play one replay from start, or from where it was stopped, to its table and report."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from assets.resources import FAKE_DESK
from labeling.desk.fake import FakeReviewDesk
from labeling.errors import DeskUnavailable, HomeError
from labeling.home import Home
from pipelines.replay.crowd import Crowd, FakeCrowd, LabelStudioCrowd
from pipelines.replay.driver import Driver, Narrator, People, Plan
from pipelines.replay.feed import WEEK, Feed
from pipelines.replay.measure import (
    measure_release,
    measure_week,
    open_release,
    predict_live,
    redacted_texts,
    sealed_messages,
)
from pipelines.replay.report import write_report
from pipelines.replay.results import Measured, ReplayResult
from pipelines.replay.stage import clear_stage, make_stage
from pipelines.replay.state import ReplayState, require_own
from pipelines.running import Runner, open_instance, told_when_full
from pipelines.services import find_up
from serving.release import open_champion

REPORT: Final = "replay.html"
"""The report's name in the home's reports."""


@dataclass(frozen=True)
class Script:
    """What is played: everything that the demo and a replay of one's own file differ in.

    Attributes:
        title: stands over the table and the report.
        options: what the command was given; a stopped replay goes on only with the same.
        seed: decides everything that chance decides.
        desk: label_studio or fake.
        weeks: how many weeks follow the history; the last one ends as the day begins on which the replay is first
            played, so that the hour of playing changes nothing.
        seed_labels: how many open messages the history comes labelled with.
        changes: file name to the settings that differ from the packaged configs.
        feed: makes the feed, given when week 1 starts.
        people: makes the agents and annotators, given where annotators sit.
        live_texts: messages for the predictions at the end.
    """

    title: str
    options: Mapping[str, Any]
    seed: int
    desk: str
    weeks: int
    seed_labels: int
    changes: Mapping[str, Mapping[str, Any]]
    feed: Callable[[datetime], Feed]
    people: Callable[[Callable[[], Crowd]], People]
    live_texts: tuple[str, ...]


def play_script(
    script: Script, home: Home, narrator: Narrator, *, now: datetime, approve: Callable[[str], None]
) -> ReplayResult:
    """Play ``script`` in ``home``, going on where it was stopped; the last thing written is its report.

    Raises:
        HomeError: the home is busy, is served and would be cleared, or holds something else.
        StorageError: the disk is full.
        CxloopError: a step failed; the same call goes on from there.
    """
    with told_when_full(home), home.lock(), ExitStack() as running:
        state = _open_state(script, home, now)
        feed = script.feed(state.start)
        runner = Runner(home, running.enter_context(open_instance(home)), desk=script.desk)
        crowd = _seat_at_label_studio(home, running) if script.desk == "label_studio" else _seat_at_fake(runner)
        lots = runner.loop().settings.selection.lots
        plan = Plan(home, feed, lots, script.people(crowd), script.seed_labels, approve)
        driver = Driver(plan, state, runner, narrator)
        state = driver.play()
        with narrator.phase(len(feed.weeks), "report"):
            result = _measure(script, driver, runner)
            write_report(result, home.reports / REPORT)
        state.model_copy(update={"finished": True}).save(home)
        return result


def _open_state(script: Script, home: Home, now: datetime) -> ReplayState:
    state = require_own(home, dict(script.options))
    if state is None:
        if up := find_up(home):
            raise HomeError(
                f"a new replay would clear {home.path}, which process {up.pid} serves: stop its `cxloop up` first, "
                "or name another folder with CXLOOP_HOME"
            )
        clear_stage(home)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        state = ReplayState(plan=dict(script.options), start=midnight - script.weeks * WEEK)
        state.save(home)
    if not home.exists:
        make_stage(home, seed=script.seed, changes=script.changes)
    return state


def _seat_at_label_studio(home: Home, running: ExitStack) -> Callable[[], Crowd]:
    """Start Label Studio in the background; return a function that waits for it."""
    from labeling.desk.server import find_label_studio, start_server

    program, password = find_label_studio(), home.secret("CXLOOP_LABEL_STUDIO_PASSWORD")
    token = home.secret("CXLOOP_LABEL_STUDIO_TOKEN")
    pool = running.enter_context(ThreadPoolExecutor(1))
    unwanted = threading.Event()

    def go_on(_: str) -> None:
        if unwanted.is_set():  # Ctrl-C need not wait until it has started
            raise DeskUnavailable("Label Studio was stopped while it started: run again")

    starting = pool.submit(
        start_server, home.label_studio, token=token, password=password, program=program, on_progress=go_on
    )

    def stop() -> None:
        unwanted.set()
        if starting.exception() is None:
            starting.result().stop()

    running.callback(stop)
    return lambda: LabelStudioCrowd(starting.result().url, token)


def _seat_at_fake(runner: Runner) -> Callable[[], Crowd]:
    desk = FakeReviewDesk(runner.loop().folder.path / FAKE_DESK)
    return lambda: FakeCrowd(desk, lambda: datetime.now(UTC))


def _measure(script: Script, driver: Driver, runner: Runner) -> ReplayResult:
    home, registry = driver.plan.home, runner.loop().open_registry()
    sealed = list(driver.plan.feed.held_out) or sealed_messages(home.tables, driver.messages)
    texts = [m.text for m in sealed] if driver.plan.feed.held_out else redacted_texts(home.tables, sealed)
    truth = [message.truth for message in sealed]
    known: dict[str, dict[str, Measured]] = {"": {}}
    weeks = []
    before = 0
    for week in driver.weeks:
        outcome = driver.state.outcomes[str(week.number)]
        champion = outcome["champion"]
        if champion not in known:
            known[champion] = measure_release(open_release(registry, champion), texts, truth)
        answers, before = int(outcome["answers"]) - before, int(outcome["answers"])
        found = measure_week(
            home.tables,
            week,
            champion=champion,
            verdict=outcome["verdict"],
            answers=answers,
            accuracy=known[champion],
        )
        weeks.append(found)
    champion = open_champion(registry)
    predictions = predict_live(champion.release, script.live_texts) if champion else []
    return ReplayResult(script.title, weeks, predictions, _sum_phases(driver.state.seconds), len(sealed))


def _sum_phases(seconds: Mapping[str, float]) -> dict[str, float]:
    """Return phase to its time over all weeks, in the order in which phases first came."""
    total: dict[str, float] = {}
    for step, taken in seconds.items():
        phase = step.split(":", 1)[1]
        total[phase] = total.get(phase, 0.0) + taken
    return total
