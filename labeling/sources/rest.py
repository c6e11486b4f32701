"""Rows from paged REST APIs that answer in JSON: the way through their pages, and where the next run goes on."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any, Final

from labeling.digests import digest
from labeling.errors import SourceError
from labeling.sources.path import pick
from labeling.sources.records import Batch, read_records
from labeling.sources.refusals import Refusal
from labeling.sources.rest_api import PATIENCE, Page, Patience, Refused, RestApi, at_path, join, kind_of, place
from labeling.sources.source import RestSource

BATCH_ROWS: Final = 50_000
"""Rows of the largest batch: a longer page makes several."""

_CURSOR_UNKNOWN: Final = frozenset({400, 404, 410, 422})
_CURSORS_REMEMBERED: Final = 200
_EQUAL_PAGES: Final = 100
_UNDECODED: Final = re.compile("[\udc80-\udcff]")
_log = logging.getLogger(__name__)


def read_rest(source: RestSource, *, state: dict[str, Any], patience: Patience = PATIENCE) -> Iterator[Batch]:
    """Read the pages of ``source`` that are new since the run that left ``state``.

    Rows may come again, and none is skipped: a kept cursor moves with each page, and a start only when the last
    page has been taken, because pages need not be in the order of time. Neither moves backwards.

    Args:
        source: where and what.
        state: ours, JSON; changed only after the batches that it covers were taken.
        patience: with the server.

    Yields:
        One batch a page (several for a page over ``BATCH_ROWS``), an empty page included; its version is the digest of
        the answer. Refused are the records that are no objects, hold more than a value where one is due
        (``nested_value``), or are not UTF-8 (``broken_encoding``).

    Raises:
        SourceError: the server cannot be reached, refuses us, answers something else than asked for, leads to another
            server or in circles; or a secret is missing.
    """
    walk = _Walk(source, state)
    with closing(RestApi(source, patience)) as api:
        for number in count(1):
            page = _ask(api, walk)
            try:
                yield from _batches(source, page, origin=f"{source.endpoint}:{number}")
                has_next = walk.move(page)
            except RecursionError:
                raise walk.error("nests its JSON too deep: ask for less in parameters") from None
            if not has_next:
                return


def _ask(api: RestApi, walk: "_Walk") -> Page:
    """Return the page that ``walk`` points at; where its server forgot our cursor, the first one from the start on."""
    try:
        return api.get(walk.url, walk.parameters)
    except Refused as error:
        if not (walk.is_resumed and error.status in _CURSOR_UNKNOWN):
            raise
        message = "source %s: its server does not know our cursor any more (%d): starting again from %s"
        _log.warning(message, walk.source.name, error.status, walk.start or "the beginning")
    walk.restart()
    return api.get(walk.url, walk.parameters)


class _Walk:
    """The way through the pages of one run: what to ask for next, and what to remember of what was taken.

    ``state`` holds ``place`` (a digest: the rest belongs to it), ``start`` (the largest value of ``start_field`` in all
    finished runs), ``newest`` (the same of the run in progress), ``cursor``, and ``left`` (digests of the cursors that
    lie behind us).
    """

    def __init__(self, source: RestSource, state: dict[str, Any]) -> None:
        self.source, self._paging, self._state = source, source.paging, state
        here = digest([source.base_url.rstrip("/"), source.endpoint, source.start_field, source.start_format])
        if state.get("place") != here:
            state.clear()
            state["place"] = here
        cursor = state.get("cursor") if source.paging.keep else None
        self.is_resumed = cursor is not None
        self._records: list[Any] | None = None
        self._equal_pages = 0
        self._seen = dict.fromkeys(state.get("left", [])) if cursor else {}
        self._go(cursor or {"page": str(source.paging.first), "offset": "0"}.get(source.paging.kind, ""))

    @property
    def start(self) -> str:
        """From when (or which number) on rows are wanted, as it is sent; empty for all of them."""
        source, known = self.source, self._state.get("start")
        if known is None:
            first = _number(source.start_at, source.start_format)
            return "" if first is None else _written(first, source.start_format)
        overlap = 0 if source.start_format == "number" else source.start_overlap_seconds
        return _written(max(Decimal(known) - overlap, Decimal(0)), source.start_format)

    def restart(self) -> None:
        """Forget the cursor; the state does so when a page was taken."""
        self.is_resumed = False
        self._seen = {}
        self._go("")

    def move(self, page: Page) -> bool:
        """Remember that ``page`` was taken, and go on to the next; return whether there is one."""
        reference = self._next(page)
        is_last = self._is_last(page, reference)
        self._check_circle(page, reference, is_last)
        self._remember(page, reference, is_last)
        if not is_last:
            self.is_resumed = False
            self._go(reference or "")
        return not is_last

    def _go(self, reference: str) -> None:
        """Point at the page of ``reference``: an address, a cursor or a number; the first page where empty."""
        source, paging = self.source, self._paging
        self._reference = reference
        if reference:
            self._seen[_short(reference)] = None
        if paging.kind == "link" and reference:
            self.url, self.parameters = reference, {}
            return
        start = "" if paging.keep and reference else self.start
        self.url = f"{source.base_url.rstrip('/')}/{source.endpoint.lstrip('/')}"
        self.parameters = {
            name: _parameter(value).replace("{start}", start)
            for name, value in source.parameters.items()
            if start or "{start}" not in _parameter(value)
        }
        if paging.parameter and reference:
            self.parameters[paging.parameter] = reference

    def _next(self, page: Page) -> str | None:
        paging = self._paging
        if paging.kind == "none":
            return None
        if paging.kind == "page":
            return str(int(self._reference) + 1)
        if paging.kind == "offset":
            return str(int(self._reference) + len(page.records))
        found = at_path(page.body, paging.next) if paging.next else page.link
        if found is not None and not isinstance(found, str):
            raise self.error(f"needed a text at {paging.next}, found {kind_of(found)}: check paging.next")
        if paging.kind == "link" and found:
            return join(page.url, found)
        return found or None

    def _is_last(self, page: Page, reference: str | None) -> bool:
        paging = self._paging
        if path := paging.more or paging.end:
            flag = at_path(page.body, path)
            if not isinstance(flag, bool):
                raise self.error(f"needed true or false at {path}, found {kind_of(flag)}: check paging")
            is_last = flag == bool(paging.end)
        else:
            is_last = not page.records if paging.kind in {"page", "offset"} else reference is None
        if reference is None and not is_last:
            raise self.error(f"says that there are more pages, and leads to none at {paging.next or 'the Link header'}")
        return is_last

    def _check_circle(self, page: Page, reference: str | None, is_last: bool) -> None:
        is_followed = not is_last or (self._paging.keep and reference != self._reference)
        if reference and is_followed and _short(reference) in self._seen:
            raise self.error("leads back to a page that was read before: report it to the server's makers")
        if is_last:
            return
        self._equal_pages = self._equal_pages + 1 if page.records == self._records else 0
        self._records = page.records
        is_numbered = self._paging.kind in {"page", "offset"}
        if self._equal_pages > (0 if is_numbered and page.records else _EQUAL_PAGES):
            advice = f"check paging.parameter {self._paging.parameter}" if is_numbered else "check paging"
            raise self.error(f"answers the same page over and over: {advice}")

    def _remember(self, page: Page, reference: str | None, is_last: bool) -> None:
        state, known = self._state, self._state.get("newest")
        newest = _newest(page, self.source)
        if newest is not None:
            state["newest"] = str(newest if known is None else max(newest, Decimal(known)))
        if self._paging.keep and reference:
            state["cursor"], state["left"] = reference, list(self._seen)[-_CURSORS_REMEMBERED:]
        elif not self._reference:
            state.pop("cursor", None)
        if is_last and "newest" in state:
            newest = Decimal(state.pop("newest"))
            state["start"] = str(max(newest, Decimal(state.get("start", newest))))

    def error(self, message: str) -> SourceError:
        """Return an error that names the source and the page."""
        return SourceError(f"source {self.source.name}: {place(self.url)} {message}")


def _batches(source: RestSource, page: Page, *, origin: str) -> Iterator[Batch]:
    total = len(page.records)
    for first in range(0, max(total, 1), BATCH_ROWS):
        records = page.records[first : first + BATCH_ROWS]
        broken = {} if page.is_utf8 else _undecoded(records, first + 1)
        batch = read_records(
            _without(records, broken, first + 1),
            paths=source.paths,
            origin=origin,
            version=page.version,
            first_position=first + 1,
            is_last=first + BATCH_ROWS >= total,
        )
        yield replace(batch, refused=tuple(broken.get(refusal.position, refusal) for refusal in batch.refused))


def _without(records: list[Any], broken: Mapping[int, Refusal], first_position: int) -> list[Any]:
    return [None if position in broken else each for position, each in enumerate(records, start=first_position)]


def _undecoded(records: list[Any], first_position: int) -> dict[int, Refusal]:
    found = {}
    for position, record in enumerate(records, start=first_position):
        text = json.dumps(record, ensure_ascii=False)
        if _UNDECODED.search(text):
            content = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
            found[position] = Refusal(position, "broken_encoding", "the record is not UTF-8", content)
    return found


def _newest(page: Page, source: RestSource) -> Decimal | None:
    """Return the largest value of ``start_field`` in ``page``; a time in the server's future is none."""
    if not source.start_field:
        return None
    latest = None if source.start_format == "number" else Decimal(page.answered_at.timestamp())
    values = (pick(record, source.start_field) for record in page.records if isinstance(record, Mapping))
    numbers = (_number(value, source.start_format) for value in values)
    return max((each for each in numbers if each is not None and (latest is None or each <= latest)), default=None)


def _number(value: Any, form: str) -> Decimal | None:
    """Return a start as a number (times: Unix seconds), None for what is none."""
    if not isinstance(value, str):
        return None
    if re.fullmatch(r"\d{1,30}" if form == "number" else r"\d{1,11}(\.\d{1,9})?", value, re.ASCII):
        return Decimal(value)
    if form == "number":
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return Decimal(str((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()))


def _written(start: Decimal, form: str) -> str:
    if form != "iso":
        return str(int(start))
    return datetime.fromtimestamp(int(start), tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parameter(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _short(reference: str) -> str:
    return hashlib.sha256(reference.encode("utf-8", "surrogatepass")).hexdigest()[:16]
