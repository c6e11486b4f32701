"""Erase a person or single interactions everywhere: tables, desk, features; with a receipt in the ledger."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from assets.erasing_plan import Plan
from assets.reports import drop_reports
from assets.resources import Loop
from labeling.desk.database import shrink_database
from labeling.desk.desk import ReviewDesk
from labeling.digests import keyed_digest
from labeling.erasing import (
    ORDER,
    Traces,
    count_rows,
    delete_rows,
    digest_traces,
    find_again,
    find_traces,
    refuse_return,
)
from labeling.errors import DecisionRefused
from labeling.sources.arrivals import customer_key, safe_id
from labeling.sources.delivery import TRACE, deliver
from labeling.sources.event_erasing import erase_events, find_events, find_interactions
from labeling.sources.mentions import find_mentions
from labeling.tables import REVIEW_TASKS
from training.features import digest_text
from training.registry.affected import Affected, find_affected, find_case_files
from training.registry.decisions import NOTE_LENGTH
from training.registry.ledger import Entry
from training.registry.standing import read_standing
from training.registry.tokens import NAME_LENGTH

LOGGED: Final = "gateway log"
"""Stands among the tables for the lines of the gateway's log."""
ERASURE: Final = "erasure"
"""The kind of the ledger's entry that is an erasure's receipt."""

Tell = Callable[[str], None]
"""Called with one line on what is done next."""
OpenDesk = Callable[[], AbstractContextManager[ReviewDesk | None]]
"""Opens the desk, and keeps its server running for as long as the block lasts; None where none was ever started."""
_PACKAGES: Final = ("normalize/extracted", "load/new", "load/normalized", "load/loaded")
"""Where dlt keeps rows between a source and the tables."""


@dataclass(frozen=True)
class ErasureRequest:
    """Who goes: ids of customers and of interactions, as the sources write them; at least one.

    ``reviewer`` is who decided, a name of 1 to 80 characters on one line; ``note`` is why, up to 2,000 characters.
    """

    customers: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()
    reviewer: str = ""
    note: str = ""

    def check(self) -> None:
        """Refuse a request that names nobody.

        Raises:
            DecisionRefused: there is no id, or an empty one.
        """
        if not self.customers + self.interactions or "" in self.customers + self.interactions:
            raise DecisionRefused(
                "an erasure needs the id of a customer or an interaction, found none: give --customer or --interaction"
            )

    def check_words(self) -> None:
        """Refuse words that cannot stand in the ledger.

        Raises:
            DecisionRefused: no name, too long, or one of the ids stands in what would be kept for ever.
        """
        if not 1 <= len(self.reviewer.strip()) <= NAME_LENGTH or not self.reviewer.isprintable():
            raise DecisionRefused(
                f"an erasure needs a reviewer's name of 1 to {NAME_LENGTH} printable characters on one line, "
                f"found {len(self.reviewer)} characters: give --reviewer NAME"
            )
        if not 1 <= len(self.note.strip()) <= NOTE_LENGTH:
            raise DecisionRefused(
                f"an erasure needs a note of 1 to {NOTE_LENGTH:,} characters, found {len(self.note):,}: give --note WHY"
            )
        if any(name in word for name in self.customers + self.interactions for word in (self.reviewer, self.note)):
            raise DecisionRefused(
                "reviewer and note stand in the ledger for ever, and one of them holds an id that is to be erased: "
                "name the request in another way (a ticket's number)"
            )


@dataclass(frozen=True)
class Erasure:
    """What an erasure takes away, or took.

    Attributes:
        receipt: the name of this erasure.
        rows: rows by table.
        desk_cases: cases that stand at the desk, or stood.
        refused: how many customers, interactions and conversations may not come back.
        affected: what learnt from the texts.
        mentions: files of the inbox and of local sources that hold an id still; their owner must remove them.
        case_files: digests of the case files that hold ids of theirs, and stay as they are.
        is_unfinished: an earlier command began it and did not come to its end.
        entry: the receipt in the ledger, None where there was nothing left.
        is_desk_shrunk: whether the embedded Label Studio's file was written anew; False where a server runs over it.
    """

    receipt: str
    rows: dict[str, int]
    desk_cases: int
    refused: int
    affected: Affected
    mentions: tuple[str, ...]
    case_files: tuple[str, ...] = ()
    is_unfinished: bool = False
    entry: Entry | None = None
    is_desk_shrunk: bool = True

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing left to erase, and no earlier command to finish."""
        return not self.rows and not self.is_unfinished


def look(loop: Loop, request: ErasureRequest) -> Erasure:
    """Return what ``erase`` would take away; changes nothing.

    Raises:
        DecisionRefused: the request names nobody.
        RegistryError: the registry cannot be reached.
    """
    request.check()
    return _look(loop, request)[0]


def erase(loop: Loop, request: ErasureRequest, *, open_desk: OpenDesk, tell: Tell) -> Erasure:
    """Take away everything that the home and the desk hold of those whom ``request`` names, for good.

    First, what a killed collection left on disk is loaded into the tables, as the next collection would do. The order
    is then such that after a kill at any instant the same request completes it, and nothing comes back meanwhile:

    1. What was found is written into the home's folder ``erasing``: keyed digests, ids of cases and counts. From here
       on the rows themselves are not needed to find what is left, and the receipt counts what the first command found.
    2. Who goes is written into ERASURES: from here on no collection lets them in.
    3. Once no collection is at work any more, what one may have left meanwhile is loaded, and all is looked for again.
    4. Their lines in the gateway's log are blanked. The cases leave the desk, and so do the cases of others that show
       one of the texts in their dialogue; before the tables, because these say which cases there are.
    5. The rows leave the tables, what others are made of first (see ``labeling.erasing.ORDER``). The neighbours'
       REVIEW_TASKS go after the texts, so that those cases are sent again without them.
    6. The cases leave the desk and REVIEW_TASKS once more, should a job have sent some from what it had read before.
    7. What training keeps between runs goes as a whole (it is made again). The tables' files and logs that held the
       rows are removed; and, when the desk's server has stopped, its database is written anew.
    8. The receipt is written into the ledger, and the file of step 1 removed.

    Args:
        loop: whose data.
        request: who goes, who says so and why.
        open_desk: opens the desk; called only where a case may stand there.
        tell: told of every step before it is taken.

    Returns:
        What was taken away; ``entry`` is the receipt. Where there was nothing left nothing was changed.

    Raises:
        DecisionRefused: the request cannot stand in the ledger.
        DeskError: the desk cannot be used; give the same command again.
        StorageError, RegistryError, LedgerError: likewise.
    """
    request.check()
    request.check_words()
    for name in _load_pending(loop):
        tell(f"loaded what a stopped collection of {name} may have left")
    found, plan, traces = _look(loop, request)
    if found.is_nothing:
        return replace(found, is_desk_shrunk=_shrink(loop))
    tell("noting what was found")
    plan.save(_plan_path(loop, found.receipt))
    tell("refusing their return")
    refuse_return(loop.tables, plan.digests, receipt=found.receipt, now=loop.now())
    tell("waiting for collections at work")
    for name in _load_pending(loop):
        tell(f"loaded what a collection of {name} may have left meanwhile")
    again, plan, traces = _look(loop, request)
    found = replace(again, is_unfinished=found.is_unfinished)  # the note of this very command is no earlier one
    plan.save(_plan_path(loop, found.receipt))
    refuse_return(loop.tables, plan.digests, receipt=found.receipt, now=loop.now())
    tell("erasing in the gateway's log")
    erase_events(loop.folder.gateway_log, traces, key=loop.folder.key())
    with open_desk() if found.desk_cases else nullcontext() as desk:
        _clear_desk(loop, desk, traces, tell)
        for table in ORDER:
            tell(f"deleting from {table.name}")
            delete_rows(loop.tables, table, traces)
        _clear_desk(loop, desk, traces, tell)
        delete_rows(loop.tables, REVIEW_TASKS, traces)
    tell("removing what training kept between runs")
    shutil.rmtree(loop.folder.training, ignore_errors=True)
    for table in ORDER:
        tell(f"removing the files of what was deleted from {table.name}")
        loop.tables.vacuum(table)
    drop_reports(loop.folder.reports)
    tell("writing the desk's database anew")
    is_shrunk = _shrink(loop)
    tell("writing the receipt")
    entry = _write_receipt(loop, _receipt(found, plan, request))
    tell("clearing up")
    _plan_path(loop, found.receipt).unlink()
    return replace(found, entry=entry, is_desk_shrunk=is_shrunk)


def _clear_desk(loop: Loop, desk: ReviewDesk | None, traces: Traces, tell: Tell) -> None:
    if desk is not None:
        tell("taking cases off the desk")
        desk.open_project(loop.settings.taxonomy)
        desk.remove(sorted(traces.cases | traces.neighbours))


def find_unfinished(loop: Loop) -> int:
    """Return how many erasures were begun and not finished: their commands must be given again."""
    return len(list(_plan_path(loop, "any").parent.glob("*.json")))


def _look(loop: Loop, request: ErasureRequest) -> tuple[Erasure, Plan, Traces]:
    """Return what there is to erase, as it is told, as it is kept, and as it is found in the tables."""
    tables, key = loop.tables, loop.folder.key()
    keys = sorted({customer_key(key, name) for name in request.customers})
    receipt = f"erasure-{keyed_digest(key, ERASURE, *keys, '/', *sorted(set(request.interactions)))[:16]}"
    earlier = Plan.load(_plan_path(loop, receipt))
    logged = find_interactions(loop.folder.gateway_log, frozenset(keys), key=key)
    traces = find_traces(
        tables,
        customers=keys,
        interactions=[*(safe_id(key, name) for name in request.interactions), *logged],
        digest_text=lambda text: digest_text(key, text),
    )
    if earlier is not None:
        traces |= find_again(tables, earlier.digests, key=key)
        traces |= Traces(texts=earlier.texts, cases=earlier.cases, neighbours=earlier.neighbours)
    plan = Plan(
        receipt=receipt,
        begun_at=loop.now().isoformat(),
        digests=digest_traces(traces, key=key),
        texts=traces.texts,
        cases=traces.cases,
        neighbours=traces.neighbours,
        rows=_count(loop, traces),
    ).merged(earlier)
    standing = read_standing(loop.open_ledger().entries())
    found = Erasure(
        receipt=receipt,
        rows=plan.rows,
        desk_cases=len(plan.cases | plan.neighbours),
        refused=len(plan.digests.customers | plan.digests.interactions | plan.digests.conversations),
        affected=find_affected(traces.interactions, tables=tables, registry=loop.open_registry(), standing=standing),
        mentions=find_mentions(
            {*request.customers, *traces.interactions},
            sources=loop.settings.sources,
            home=loop.folder.path,
            inbox=loop.folder.inbox,
        ),
        case_files=find_case_files(loop.folder.case_files, plan.digests.interactions, key=key),
        is_unfinished=earlier is not None,
    )
    return found, plan, traces


def _count(loop: Loop, traces: Traces) -> dict[str, int]:
    """Return how much there is to erase, by table; lines of the gateway's log count too."""
    lines = sum(1 for _ in find_events(loop.folder.gateway_log, traces, key=loop.folder.key()))
    return count_rows(loop.tables, traces) | ({LOGGED: lines} if lines else {})


def _write_receipt(loop: Loop, body: dict[str, Any]) -> Entry:
    """Write the receipt, once: a command that was killed just after it finds it there."""
    with loop.open_ledger().transaction() as ledger:
        for entry in ledger.entries(ERASURE):
            if all(entry.body[name] == body[name] for name in ("receipt", "begun_at")):
                return entry
        return ledger.append(ERASURE, body, at=loop.now())


def _receipt(found: Erasure, plan: Plan, request: ErasureRequest) -> dict[str, Any]:
    """Return the ledger's entry: digests, counts, and ids of nobody."""
    return {
        "receipt": found.receipt,
        "begun_at": plan.begun_at,
        "customers": sorted(plan.digests.customers),
        "interactions": sorted(plan.digests.interactions),
        "rows": plan.rows,
        "desk_cases": found.desk_cases,
        "training_sets": list(found.affected.training_sets),
        "versions": [
            {"name": one.name, "version": one.version, "needs_retraining": one.needs_retraining}
            for one in found.affected.versions
        ],
        "unknown_versions": list(found.affected.unknown),
        "case_files": list(found.case_files),
        "reviewer": request.reviewer.strip(),
        "note": request.note.strip(),
    }


def _load_pending(loop: Loop) -> Iterator[str]:
    """Load what killed collections left on disk, and remove it there; yield the names of their sources.

    Waits for a collection that is at work at one of them.
    """
    folder = loop.folder.collecting
    for place in sorted(folder.iterdir()) if folder.is_dir() else ():
        with loop.folder.exclusive(f"source-{place.name}"):
            packages = [found for part in _PACKAGES for found in (place / part).glob("*")]
            if packages:
                deliver(place.name, lambda _: iter(()), tables=loop.tables, folder=folder)
            for left in packages:  # what was cut off before it was whole is read again at the source
                shutil.rmtree(left, ignore_errors=True)
            (place / TRACE).unlink(missing_ok=True)
        if packages:
            yield place.name


def _shrink(loop: Loop) -> bool:
    return loop.desk == "fake" or shrink_database(loop.folder.label_studio)


def _plan_path(loop: Loop, receipt: str) -> Path:
    return loop.folder.path / "erasing" / f"{receipt}.json"
