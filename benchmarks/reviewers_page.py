"""How long does a reviewer wait for the page of a challenger?

Protocol, fixed before the run. A home with a champion and a challenger that waits; their case file holds 77 intents and
3,000 test cases (``tests.training.judging.sample_case``), the table of interactions 100,000 messages with the texts of
the test among them. The page is served by `python -m serving.reviewers` in a process of its own; a reviewer is signed
in, and the page has heard the registry. After two visits to warm up, the page of the challenger is fetched by httpx and
opened in Chromium without a cache, in turn, at least five times each:

- *server*: seconds from the request to the last byte of the page, by httpx.
- *load*: seconds from the beginning of the navigation to the end of its load event, as Chromium times it
  (PerformanceNavigationTiming.loadEventEnd); style and script are loaded by then.
- *load, filtered*: the same for the changed cases of one label, ordered by confidence.

Each figure is the mean over visits with its t interval; the slowest visit stands beside it. A home of MLflow in SQLite,
as `cxloop up` makes it, answers the page's question which versions exist.

    python -m benchmarks.reviewers_page --repeats 20
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import polars as pl
from playwright.sync_api import sync_playwright

from benchmarks.harness.results import Figure, over_rounds, write_result
from labeling.tables import INTERACTIONS
from pipelines.processes import find_port
from serving.reviewers import HEALTH
from tests.browser_fixture import launch_chromium
from tests.serving.reviewers.stage import NOW, PageStage, forms
from tests.training.judging.sample_case import INTENTS
from tests.training.registry.stage import TOKENS
from training.registry.mlflow_registry import MlflowRegistry

if TYPE_CHECKING:
    from playwright.sync_api import Page

_CASES: Final = 3_000
_GOAL: Final = "at most 1"
_WARM_UPS: Final = 2


def main() -> None:
    """Time the page, print the figures, and write them."""
    parser = argparse.ArgumentParser(description="how long the page of a challenger takes to load")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--messages", type=int, default=100_000, help="messages in the table of interactions")
    parser.add_argument("--dry", action="store_true", help="print the figures and write nothing")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        stage, version = build_home(Path(folder), messages=asked.messages)
        with serve(stage) as address:
            times = time_page(f"{address}/challengers/{version}", address, repeats=asked.repeats)
    figures = {name: over_rounds(values, "s", "lower", goal) for name, (values, goal) in times.items()}
    figures |= {f"{name}, slowest": _slowest(values) for name, (values, _) in times.items()}
    for name, figure in figures.items():
        print(f"{name:<22} {figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f}) s")
    if not asked.dry:
        command = f"python -m benchmarks.reviewers_page --repeats {asked.repeats} --messages {asked.messages}"
        write_result("reviewers_page", command=command, seeds=[], figures=figures, peers={})


def build_home(folder: Path, *, messages: int) -> tuple[PageStage, str]:
    """Return a home with a champion and a challenger that waits, and the challenger's version."""
    empty = folder / "empty.db"
    MlflowRegistry(f"sqlite:///{empty}", None).versions("any")
    stage = PageStage(folder / "home", empty, cases=_CASES)
    stage.crown()
    version = stage.challenge()
    stage.write_texts(version)
    numbers = pl.int_range(messages, eager=True)
    others = pl.select(
        interaction_id=pl.format("other-{}", numbers),
        conversation_id=pl.format("talk-{}", numbers // 3),
        turn=pl.lit(1),
        occurred_at=pl.lit(NOW) - numbers * timedelta(minutes=2),
        updated_at=pl.lit(NOW),
        text=pl.format("message {} about a card that did not arrive", numbers),
        lot=pl.lit("open"),
    )
    absent = [pl.lit(None, kind).alias(name) for name, kind in INTERACTIONS.schema.items() if name not in others]
    stage.home.tables.merge(INTERACTIONS, others.with_columns(absent))
    return stage, version


@contextmanager
def serve(stage: PageStage) -> Iterator[str]:
    """Serve the page of ``stage`` as `cxloop up` does; yield its address."""
    port = find_port(31_000)
    address, home = f"http://127.0.0.1:{port}", {"CXLOOP_HOME": str(stage.home.path)}
    page = subprocess.Popen([sys.executable, "-m", "serving.reviewers", str(port)], env={**os.environ, **home})
    try:
        for _ in range(600):
            try:
                httpx.get(address + HEALTH).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield address
    finally:
        page.terminate()
        page.wait()


def time_page(page_address: str, address: str, *, repeats: int) -> dict[str, tuple[list[float], str]]:
    """Return the seconds of each visit by figure, with the figure's goal."""
    filtered = f"{page_address}?label={INTENTS[0]}&cases=-challenger_confidence"
    server, load, load_filtered = [], [], []
    with httpx.Client(follow_redirects=True) as client, sync_playwright() as playwright:
        form = forms(client.get(f"{address}/sign-in").text)["/sign-in"]
        client.post(f"{address}/sign-in", data=form | {"token": TOKENS["ana"]}).raise_for_status()
        wait_for_registry(client, address)
        chromium = launch_chromium(playwright)
        page = chromium.new_page()
        page.goto(address)
        page.fill("#token", TOKENS["ana"])
        page.keyboard.press("Enter")
        page.wait_for_url(f"{address}/")
        page.context.new_cdp_session(page).send("Network.setCacheDisabled", {"cacheDisabled": True})
        for visit in range(_WARM_UPS + repeats):
            times = (fetch(client, page_address), visit_page(page, page_address), visit_page(page, filtered))
            if visit >= _WARM_UPS:
                for values, seconds in zip((server, load, load_filtered), times, strict=True):
                    values.append(seconds)
        chromium.close()
    return {"server": (server, ""), "load": (load, _GOAL), "load, filtered": (load_filtered, "")}


def fetch(client: httpx.Client, address: str) -> float:
    """Return the seconds until the page is here as a whole."""
    begun = time.perf_counter()
    answer = client.get(address)
    seconds = time.perf_counter() - begun
    if not re.search(r"<h1>Release \d+", answer.text) or "Out of order" in answer.text:
        raise SystemExit("the page that came is not that of a challenger in order: no figure")
    return seconds


def wait_for_registry(client: httpx.Client, address: str) -> None:
    """Return when the page has heard the registry, which loads MLflow first."""
    for _ in range(100):
        if "Out of order" not in client.get(address).text:
            return
        time.sleep(0.2)
    raise SystemExit("the registry never answered the page: no figure")


def visit_page(page: "Page", address: str) -> float:
    """Return the seconds until Chromium has loaded the page."""
    page.goto(address, wait_until="load")
    page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    return page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") / 1000


def _slowest(values: list[float]) -> Figure:
    return Figure(max(values), max(values), max(values), "s", "lower", "")


if __name__ == "__main__":
    main()
