"""A collection in a process of its own, to be killed: ``python -m tests.labeling.sources.collecting HOME``."""

import sys
from pathlib import Path

import dlt  # noqa: F401 - what takes long to import comes before the first step

from labeling.home import Home
from tests.labeling.sources.test_collect import run

if __name__ == "__main__":
    print("ready", flush=True)
    run(Home(Path(sys.argv[1])))
