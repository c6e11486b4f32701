"""Rows leave when their time is over, and what was erased does not stay where it came back."""

from datetime import timedelta
from pathlib import Path
from typing import Final

import polars as pl

from assets.erasing import LOGGED
from assets.reports import drop_reports
from assets.resources import Loop
from assets.training import open_activations
from labeling import tables as t
from labeling.erasing import (
    ORDER,
    Traces,
    delete_aged,
    delete_rows,
    find_again,
    find_aged,
    find_traces,
    read_refused,
)
from labeling.errors import DeskError
from labeling.sources.event_erasing import erase_events, remove_segments
from labeling.sources.events import find_ends
from labeling.sources.source import GatewaySource
from training.features import digest_text

_BY_THEMSELVES: Final = (t.PREDICTIONS, t.CORRECTIONS, t.ESCALATIONS, t.CONTEXT_FEEDBACK, t.QUARANTINE)
"""The tables that have a period of their own; INTERACTIONS takes along what hangs on it."""
_LAST: Final = (t.REVIEW_TASKS, t.INTERACTIONS)
_ORDER: Final = (*(table for table in ORDER if table not in _LAST), *_LAST)


def keep_to_periods(loop: Loop) -> dict[str, int]:
    """Delete every row that is older than its table's period in ``settings.yaml``; return how many, by table.

    Interactions go with all that hangs on them, from the desk first. Where the desk does not answer, the interactions
    of conversations that have a case stay until it does (``waiting for the desk``). What was refused a return and is
    found in a table all the same (a collection was at work while it was erased) goes as well.

    Killed at any instant and called again, it goes on: interactions go last, because they say what hangs on them. Files
    that held the rows stay for a week, see ``Tables.compact``.
    """
    gone: dict[str, int] = {}
    days = loop.settings.services.retention
    for table in _BY_THEMSELVES:
        if period := getattr(days, table.name):
            gone[table.name] = delete_aged(loop.tables, table, days=period, now=loop.now())
    traces, waiting = _aged(loop, days.interactions) if days.interactions else (Traces(), 0)
    again = _came_back(loop)
    for found in (traces, again):
        open_activations(loop).forget(found.texts)
        for table in _ORDER if found != Traces() else ():
            gone[table.name] = gone.get(table.name, 0) + delete_rows(loop.tables, table, found)
    if traces != Traces() or again != Traces():
        drop_reports(loop.folder.reports)
    gone["waiting for the desk"] = waiting
    gone |= _keep_log(loop, days.gateway_log)
    return {name: rows for name, rows in gone.items() if rows}


def _keep_log(loop: Loop, days: int) -> dict[str, int]:
    """Remove segments of the gateway's log that are ``days`` old and were taken in; blank who was erased meanwhile."""
    folder, key = loop.folder.gateway_log, loop.folder.key()
    refused = read_refused(loop.tables)
    blanked = erase_events(folder, Traces(customers=refused.customers), key=key) if refused.customers else 0
    noted = loop.tables.read(t.DELIVERIES, columns=["origin", "version"], where=pl.col("source").is_in(_logs(loop)))
    read = {Path(origin).name: end for origin, end in find_ends(noted.iter_rows()).items()}
    old = remove_segments(folder, read=read, before=loop.now() - timedelta(days=days)) if days else 0
    return {LOGGED: blanked, "segments of the gateway log": old}


def _logs(loop: Loop) -> list[str]:
    """Return the names of the sources that read the log."""
    return [source.name for source in loop.settings.sources.sources if isinstance(source, GatewaySource)]


def _aged(loop: Loop, days: int) -> tuple[Traces, int]:
    """Return the interactions that may go now, off the desk already; and how many wait for the desk."""
    key, now = loop.folder.key(), loop.now()
    found = find_aged(loop.tables, days=days, now=now, digest_text=lambda text: digest_text(key, text))
    if not found.interactions:
        return Traces(), 0
    try:
        _leave_desk(loop, found)
    except DeskError:
        shown = _shown_with(loop, found.cases | found.neighbours)
        fewer = find_aged(loop.tables, days=days, now=now, digest_text=lambda text: digest_text(key, text), keep=shown)
        return (fewer if fewer.interactions else Traces()), len(found.interactions & shown)
    return found, 0


def _came_back(loop: Loop) -> Traces:
    """Return what stands in a table though it was erased; its cases have left the desk."""
    key = loop.folder.key()
    refused = read_refused(loop.tables)
    if not (refused.customers or refused.interactions):
        return Traces()
    named = find_again(loop.tables, refused, key=key)
    found = named | find_traces(
        loop.tables,
        customers=refused.customers,
        interactions=_stored(loop, named),
        digest_text=lambda text: digest_text(key, text),
    )
    try:
        _leave_desk(loop, found)
    except DeskError:
        return Traces()
    return found


def _stored(loop: Loop, traces: Traces) -> frozenset[str]:
    found = loop.tables.find(t.INTERACTIONS, "interaction_id", pl.Series(sorted(traces.interactions), dtype=pl.String))
    return frozenset(found)


def _leave_desk(loop: Loop, traces: Traces) -> None:
    """Take the cases of ``traces`` off the desk.

    Raises:
        DeskError: there are some, and the desk does not answer.
    """
    if cases := traces.cases | traces.neighbours:
        desk = loop.open_desk()
        desk.open_project(loop.settings.taxonomy)
        desk.remove(sorted(cases))


def _shown_with(loop: Loop, cases: frozenset[str]) -> frozenset[str]:
    """Return every interaction of the conversations that ``cases`` show."""
    is_one = pl.col("case_id").is_in(pl.Series(sorted(cases), dtype=pl.String).implode())
    asked = pl.concat(
        [
            loop.tables.read(table, columns=["interaction_id"], where=is_one)
            for table in (t.REVIEW_QUEUE, t.REVIEW_TASKS)
        ]
    )["interaction_id"].unique()
    columns = ["interaction_id", "conversation_id"]
    talks = loop.tables.read(t.INTERACTIONS, columns=columns, where=pl.col("interaction_id").is_in(asked.implode()))
    shown = loop.tables.read(
        t.INTERACTIONS,
        columns=["interaction_id"],
        where=pl.col("conversation_id").is_in(talks["conversation_id"].drop_nulls().implode()),
    )
    return frozenset(asked) | frozenset(shown["interaction_id"])
