"""Does any request make the live API fail?

Protocol, fixed before the run. A home of two small releases, the champion live, is served by uvicorn in this process.
By seed, schemathesis (Hatfield-Dodds and Dygalo, 2022) draws requests from the API's own OpenAPI document: for each
operation as many such as the document asks for as such as it does not, with keys of every role and none. A fault is an
answer of 500 and more, a status or content type that the document does not name for the operation, or an answer in
another form than the document's. ``/ready`` says 503 where nothing answers, and may. The figure is how many requests of
all seeds had a fault.

    python -m benchmarks.api_cases
"""

import argparse
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.harness.results import Figure, write_result
from serving.gateway.app import make_app
from serving.gateway.config import GatewayConfig, Rates
from serving.gateway.site import Site
from tests.serving.gateway.releases import build_small_releases
from tests.serving.gateway.stage import KEYS, bearer, make_stage
from training.registry.mlflow_registry import MlflowRegistry

SEEDS: Final = (0, 1, 2, 3, 4)
CASES: Final = 80
_RATES: Final = Rates(assistant="1000000/second", desktop="1000000/second", monitor="1000000/second")


def main() -> None:
    """Send the requests, print and write how many had a fault."""
    parser = argparse.ArgumentParser(description="requests that make the live API fail")
    parser.add_argument("--cases", type=int, default=CASES, help="of each operation and kind, by seed")
    asked = parser.parse_args()
    faults, sent = [], 0
    with tempfile.TemporaryDirectory() as folder:
        for number in SEEDS:
            found, count = run_seed(Path(folder) / str(number), number, asked.cases)
            faults += found
            sent += count
            print(f"seed {number}: {count} requests, {len(found)} with a fault", flush=True)
    for fault in sorted(set(faults)):
        print(fault)
    figures = {
        "requests": Figure(sent, sent, sent, "requests", "higher", "at least 5,000"),
        "faults": Figure(len(faults), len(faults), len(faults), "requests", "lower", "no 5xx"),
    }
    if asked.cases == CASES:
        command = "python -m benchmarks.api_cases"
        write_result("api_cases", command=command, seeds=list(SEEDS), figures=figures, peers={})


def run_seed(folder: Path, number: int, cases: int) -> tuple[list[str], int]:
    """Return the faults of one seed's requests, and how many requests there were."""
    import schemathesis

    empty = folder / "empty.db"
    folder.mkdir(parents=True)
    MlflowRegistry(f"sqlite:///{empty}", None).versions("any")
    stage = make_stage(folder / "home", empty)
    stage.config = GatewayConfig(timeout_seconds=60, rates=_RATES)
    stage.add_release(build_small_releases(folder / "releases")[0])
    faults: list[str] = []
    sent = 0
    with stage.site() as site, _serve(site) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        for operation in (found.ok() for found in schema.get_all_operations()):
            for mode in schemathesis.GenerationMode:
                found, count = _send(operation, mode, number, cases)
                faults += found
                sent += count
    return faults, sent


def _send(operation: Any, mode: Any, number: int, cases: int) -> tuple[list[str], int]:
    """Send ``cases`` requests of one operation; return their faults, and how many could be drawn."""
    from hypothesis.errors import Unsatisfiable
    from schemathesis import checks
    from schemathesis.core.failures import Failure, FailureGroup

    faults: list[str] = []
    sent = 0
    may_be_down = [] if operation.path == "/ready" else [checks.not_a_server_error]
    held_to = [*may_be_down, *(checks.CHECKS.get_by_names(["status_code_conformance", "response_schema_conformance"]))]
    who = st.sampled_from([*(bearer(name) for name in KEYS), {}])

    @seed(number)
    @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode), headers=who)
    def send(case: Any, headers: dict[str, str]) -> None:
        nonlocal sent
        sent += 1
        try:
            case.validate_response(case.call(headers=headers), checks=held_to)
        except (Failure, FailureGroup) as error:
            told = error.exceptions if isinstance(error, FailureGroup) else [error]
            faults.extend(f"{operation.method} {operation.path}: {type(one).__name__}" for one in told)

    with suppress(Unsatisfiable):  # a path that takes nothing knows no wrong request
        send()
    return faults, sent


@contextmanager
def _serve(site: Site) -> Iterator[str]:
    """Serve ``site`` over HTTP and yield its address."""
    import uvicorn

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(make_app(site), port=port, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
