"""One review in a process of its own, to be killed: ``python -m benchmarks.harness.reviewing FOLDER URL TOKEN TITLE``.

Says "ready" once everything is imported, then fetches, stores, asks again and sends, as `review_job` does it.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.harness.desks import TAXONOMY
from labeling import tables as t
from labeling.delta import Tables
from labeling.desk.cases import build_cases
from labeling.desk.fetching import fetch_answers
from labeling.desk.label_studio import LabelStudioDesk
from labeling.desk.sending import Dispatch
from labeling.errors import DeskError


def main() -> None:
    """Review once; exit code 1 where the desk does not answer."""
    folder, url, token, title = sys.argv[1:]
    tables, desk = Tables(Path(folder)), LabelStudioDesk(url, token, project_title=title)
    print("ready", flush=True)
    try:
        review(tables, desk)
    except DeskError as error:
        sys.exit(str(error))


def review(tables: Tables, desk: LabelStudioDesk) -> None:
    """Fetch and store, then bring the desk up to date and send what waits."""
    project = desk.open_project(TAXONOMY)
    if not tables.read(t.REVIEW_TASKS, columns=["case_id"]).is_empty():
        tables.merge(t.REVIEWS, fetch_answers(tables, desk, taxonomy=TAXONOMY, redact=None).rows)
    dispatch = Dispatch(tables, desk, project, datetime.now(UTC))
    dispatch.recount()
    dispatch.ask_again(TAXONOMY)
    dispatch.send(build_cases(tables, project=project, champion=None))


if __name__ == "__main__":
    main()
