"""A collection in a process of its own, to be killed: ``python -m benchmarks.harness.collecting HOME``.

It is what the asset of ``cxloop collect`` does (scoring the messages, which comes after it, left out), and prints one
line, ``ready``, when everything that it imports has been imported: a kill after that line meets work, not loading.
"""

import sys
from importlib import import_module

LOADED = (
    "dlt.destinations.impl.destination.factory",
    "great_expectations",
    "labeling.sources.delivery",
    "labeling.sources.files",
    "labeling.sources.sql",
)


def main() -> None:
    """Import everything, say so, and collect."""
    from assets.feedback import take_in
    from assets.resources import Loop
    from labeling.sources.table_map import FEEDBACK
    from pipelines.environment import prepare_environment

    prepare_environment()
    for name in LOADED:
        import_module(name)
    print("ready", flush=True)
    found = take_in(Loop(home=sys.argv[1], desk="fake"), *FEEDBACK)
    if found.unread:
        raise SystemExit("; ".join(found.unread))


if __name__ == "__main__":
    main()
