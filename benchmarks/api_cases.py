"""Does any request make the live API fail?

Protocol, fixed before the run. A home of two small releases, the champion live, runs in this process. By seed, requests
are drawn from the API's own OpenAPI document (``tests.serving.gateway.openapi_cases``, by Hypothesis): to every path,
with bodies as it says, with one field wrong, missing or unknown, with any JSON, with bytes that are no JSON; with keys
of every role and none, and any idempotency key. A fault is an answer of 500 and more (``/ready`` apart, which says 503
where nothing answers), a status that the document does not name for the path, or a refusal in another form than the
document's. The figure is how many requests of all seeds had one.

    python -m benchmarks.api_cases
"""

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Final

from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from benchmarks.harness.results import Figure, write_result
from serving.gateway.config import GatewayConfig, Rates
from tests.serving.gateway.openapi_cases import find_fault, requests
from tests.serving.gateway.releases import build_small_releases
from tests.serving.gateway.stage import make_stage
from training.registry.mlflow_registry import MlflowRegistry

SEEDS: Final = (0, 1, 2, 3, 4)
CASES: Final = 1_200
_RATES: Final = Rates(assistant="1000000/second", desktop="1000000/second", monitor="1000000/second")


def main() -> None:
    """Send the requests, print and write how many had a fault."""
    parser = argparse.ArgumentParser(description="requests that make the live API fail")
    parser.add_argument("--cases", type=int, default=CASES, help="of each seed")
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
        write_result(
            "api_cases", command="python -m benchmarks.api_cases", seeds=list(SEEDS), figures=figures, peers={}
        )


def run_seed(folder: Path, number: int, cases: int) -> tuple[list[str], int]:
    """Return the faults of one seed's requests, and how many requests there were."""
    empty = folder / "empty.db"
    folder.mkdir(parents=True)
    MlflowRegistry(f"sqlite:///{empty}", None).versions("any")
    stage = make_stage(folder / "home", empty)
    stage.config = GatewayConfig(timeout_seconds=60, rates=_RATES)
    stage.add_release(build_small_releases(folder / "releases")[0])
    faults: list[str] = []
    sent = 0
    with stage.serve() as client:
        document = client.get("/openapi.json").json()

        @seed(number)
        @settings(max_examples=cases, deadline=None, database=None, suppress_health_check=list(HealthCheck))
        @given(data=st.data())
        def send(data: st.DataObject) -> None:
            nonlocal sent
            sent += 1
            if fault := find_fault(client, data.draw(requests(document)), document):
                faults.append(fault)

        send()
    shutil.rmtree(folder)
    return faults, sent


if __name__ == "__main__":
    main()
