"""``cxloop collect``: what is new at the sources, and what became of every row."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.commands.options import HomeOption, open_home

if TYPE_CHECKING:
    from collections.abc import Mapping

_REVIEW = "`cxloop run review` chooses what a person should read and sends it to Label Studio"
_COLUMNS = ("rows", "inserted", "updated", "parked", "joined", "quarantined")


def collect(
    source: Annotated[str, typer.Argument(help="Only the source of that name in sources.yaml.")] = "",
    home: HomeOption = None,
) -> None:
    """Take in what is new at the sources: messages, agents' corrections, how escalations ended.

    Personal data is replaced before anything is stored. Rows that cannot be taken in stand in quarantine with their
    reason; corrections whose message has not come yet are parked until it does. Stop it at any point and run it again:
    nothing is lost or doubled. Exit code 1 where a source could not be read (the others are taken in all the same), or
    where a check says that something is wrong with what came (it is stored; nothing is scored).
    """
    from assets.feedback import UNREAD
    from labeling.errors import CheckFailed
    from pipelines.commands.run import run_here
    from pipelines.terminal import say_error, say_next, say_table

    ops: dict[str, Any] = {"feedback": {"config": {"source": source}}}
    faults: list[str] = []
    try:
        made = run_here("collect", open_home(home), ops=ops)
    except CheckFailed as stopped:
        made = stopped.facts
        faults.append(str(stopped))
    feedback = {name: facts for name, facts in made.items() if "quarantined" in facts}
    rows = [(name, *(str(facts[column]) for column in _COLUMNS), _hours(facts)) for name, facts in feedback.items()]
    say_table("What came", ("table", "rows", "new", "amended", "parked", "joined", "refused", "newest"), rows)
    faults += next((str(facts[UNREAD]).splitlines() for facts in feedback.values() if UNREAD in facts), [])
    steps = ["mend that, then `cxloop collect` again"] if faults else [_REVIEW]
    if any(int(facts["quarantined"]) for facts in feedback.values()):
        steps.insert(0, "`cxloop quarantine list` says why rows were refused")
    for fault in faults:
        say_error(fault)
    say_next(*steps)
    if faults:
        raise typer.Exit(1)


def _hours(facts: "Mapping[str, Any]") -> str:
    return f"{float(facts['lag_hours']):,.1f} h ago" if "lag_hours" in facts else ""
