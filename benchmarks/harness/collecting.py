"""A collection in a process of its own, to be killed: ``python -m benchmarks.harness.collecting HOME``.

It is ``cxloop collect --home HOME``, but for one line, ``ready``, on standard output when everything that it imports
has been imported: a kill after that line meets work, not loading.
"""

import sys
from importlib import import_module

LOADED = (
    "dlt.destinations.impl.destination.factory",
    "great_expectations",
    "pipelines.commands.run",
    "pipelines.definitions",
    "pipelines.running",
    "labeling.sources.delivery",
    "labeling.sources.files",
    "labeling.sources.sql",
)


def main() -> None:
    """Import everything, say so, and collect."""
    from pipelines.cli import main as run_command
    from pipelines.environment import prepare_environment

    prepare_environment()
    for name in LOADED:
        import_module(name)
    print("ready", flush=True)
    sys.argv = ["cxloop", "collect", "--home", sys.argv[1]]
    run_command()


if __name__ == "__main__":
    main()
