"""A demo's runs, launched again from Dagster's own page over its home."""

import json
import shutil
import sys
from typing import Any

import dagster as dg
import httpx
import pytest

from labeling import tables as t
from labeling.home import Home
from pipelines.processes import LOOPBACK, find_port, start_program, wait_until_answering
from pipelines.running import open_instance, prepare_dagster
from tests.e2e.outcome import COMPARED, read_rows

JOBS = ("collect_job", "review_job", "retrain_job")
LAUNCH = """
mutation ($selector: JobOrPipelineSelector!, $config: RunConfigData!, $metadata: ExecutionMetadata!) {
  launchPipelineReexecution(executionParams: {
    selector: $selector, runConfigData: $config, mode: "default", executionMetadata: $metadata
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
  }
}
"""
STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"
WHERE = "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } } } } }"
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


class DagsterPage:
    """What Dagster's page asks its server, asked by us."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/graphql"
        [found] = self.ask(WHERE)["repositoriesOrError"]["nodes"]
        self._place = {"repositoryName": found["name"], "repositoryLocationName": found["location"]["name"]}

    def ask(self, query: str, **variables):
        body = {"query": query, "variables": variables}
        answer = httpx.post(self._url, json=body, timeout=120, trust_env=False).json()
        assert "errors" not in answer, answer
        return answer["data"]

    def launch_again(self, job: str, run_id: str, config: dict[str, Any]) -> str:
        """Launch a run again with the configuration that is stored with it; return the new run's id."""
        said = self.ask(
            LAUNCH,
            selector={**self._place, "pipelineName": job},
            config=json.dumps(config),
            metadata={"parentRunId": run_id, "rootRunId": run_id},
        )["launchPipelineReexecution"]
        assert said["__typename"] == "LaunchRunSuccess", said
        return said["run"]["runId"]

    def status(self, run_id: str) -> str:
        return self.ask(STATUS, run=run_id)["runOrError"]["status"]


@pytest.fixture(scope="module")
def home(played, tmp_path_factory):
    """A copy of a finished home, so that the others keep theirs."""
    folder = tmp_path_factory.mktemp("relaunched") / "home"
    shutil.copytree(played.home, folder)
    return Home(folder)


@pytest.fixture(scope="module")
def page(home):
    """Dagster's page and the daemon that starts what is asked for there, as ``cxloop up`` serves them."""
    prepare_dagster(home)
    port = find_port(3000)
    program = start_program(
        "Dagster",
        [sys.executable, "-m", "dagster", "dev", "-h", LOOPBACK, "-p", str(port), "-m", "pipelines.definitions"],
        url=f"http://{LOOPBACK}:{port}",
        log=home.run / "dagster.log",
        folder=home.path,
        env={"DAGSTER_HOME": str(home.dagster), "CXLOOP_HOME": str(home.path)},
    )
    try:
        wait_until_answering(program, "/server_info", seconds=120)
        yield DagsterPage(program.url)
    finally:
        program.stop()


def newest_runs(home, played):
    """Return each job's newest run as it is stored, its home replaced by the copy's."""
    with open_instance(home) as instance:
        runs = [instance.get_runs(dg.RunsFilter(job_name=job), limit=1)[0] for job in JOBS]
    moved = json.dumps([[run.job_name, run.run_id, run.run_config] for run in runs]).replace(
        str(played.home), str(home.path)
    )
    return json.loads(moved)


def test_the_jobs_of_a_finished_demo_can_be_launched_again_as_it_was(home, played, page, wait_until):
    tables = [table for table in COMPARED if table != t.PREDICTIONS]
    before = {table.name: read_rows(home.path, table) for table in tables}
    predicted = home.tables.read(t.PREDICTIONS, columns=list(t.PREDICTIONS.key))

    for job, run_id, config in newest_runs(home, played):
        launched = page.launch_again(job, run_id, config)
        wait_until(lambda run=launched: page.status(run) in OVER, seconds=300)
        assert page.status(launched) == "SUCCESS", job

    assert {table.name: read_rows(home.path, table) for table in tables} == before
    after = home.tables.read(t.PREDICTIONS, columns=list(t.PREDICTIONS.key))
    assert predicted.join(after, on=list(t.PREDICTIONS.key), how="anti").is_empty()
    assert after.n_unique() == after.height
