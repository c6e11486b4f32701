"""configs/sources.yaml: where events come from."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from labeling.config import Config
from labeling.sources.path import check_path
from labeling.sources.statement import bare_select, holds_password
from labeling.sources.table_map import TableMap, gateway_maps
from labeling.tables import REVIEWS


class BaseSource(Config):
    """What every kind of source has: a name of its own, and a map for each table that it fills."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    maps: tuple[TableMap, ...] = Field(min_length=1)
    _paths: tuple[str, ...] | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _check_maps(self) -> Self:
        kinds = {each.table == REVIEWS.name for each in self.maps}
        if len(kinds) > 1:
            raise ValueError("reviews need a source of their own: they are taken in when answers are fetched")
        return self

    @property
    def tables(self) -> frozenset[str]:
        """The names of the tables that it fills."""
        return frozenset(each.table for each in self.maps)

    @property
    def paths(self) -> tuple[str, ...]:
        """The fields that its maps read, each once."""
        return tuple(dict.fromkeys(path for each in self.maps for path in each.paths))

    @property
    def required_paths(self) -> tuple[str, ...]:
        """The fields that a file or table must have as columns."""
        maps = [one for each in self.maps for one in each.origins.values()]
        needed = [one.from_ for one in maps if one.from_ and not one.optional]
        return tuple(dict.fromkeys(needed))


class FilesSource(BaseSource):
    """Files, each taken in once, and again when its content changes.

    Attributes:
        path: a folder, a file or a glob: relative to the home, absolute, or at any fsspec address (``s3://…``).
        format: what the files are; ``auto`` goes by their names (.csv, .jsonl, .parquet, each also with .gz).
        separator: what stands between the columns of a CSV file.
        storage: options of the fsspec file system, such as ``endpoint_url``; secrets come from the environment.
    """

    kind: Literal["files"]
    path: str = Field(min_length=1)
    format: Literal["auto", "csv", "jsonl", "parquet"] = "auto"
    separator: str = Field(default=",", pattern=r"^[^\"\r\n]$")
    storage: Mapping[str, Any] = Field(default_factory=dict)


class GatewaySource(BaseSource):
    """What the live API recorded: messages with what it said of them, agents' corrections, escalations.

    Attributes:
        path: the folder of the gateway's log, relative to the home or absolute.
        tasks: the tasks whose predictions come along; those that a release does not answer make none.
    """

    kind: Literal["gateway"]
    path: str = Field(default="gateway", min_length=1)
    tasks: tuple[str, ...] = ("intent", "sentiment")

    @model_validator(mode="before")
    @classmethod
    def _add_maps(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "maps" in value:
            return value
        tasks = value.get("tasks", cls.model_fields["tasks"].default)
        return {**value, "maps": gateway_maps([str(task) for task in tasks] if isinstance(tasks, list | tuple) else [])}


class SqlSource(BaseSource):
    """A table or a query in any database that SQLAlchemy speaks to.

    Attributes:
        url: SQLAlchemy's, without a password (``CXLOOP_SOURCE_<NAME>_PASSWORD``; the user may come from ``…_USER``).
        table: what to read (``schema.table`` where it needs one) …
        query: … or one SELECT.
        cursor: a column that grows with every change, such as ``updated_at``; only rows at or after the last value seen
            are read again, and those that have none. Where empty, everything is read each time.
        overlap: how far before the last value rows are read again, because a transaction may commit later than others
            that began after it: seconds where the cursor is a time, else units of the number.
    """

    kind: Literal["sql"]
    url: str = Field(min_length=1)
    table: str = ""
    query: str = ""
    cursor: str = ""
    overlap: float = Field(default=300, ge=0, allow_inf_nan=False)

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        from sqlalchemy.exc import ArgumentError

        try:
            has_password = holds_password(url)
        except (ArgumentError, ValueError):
            raise ValueError("url needs SQLAlchemy's form, driver://user@host/database") from None
        if has_password:
            raise ValueError("url holds a password: take it out and set CXLOOP_SOURCE_<NAME>_PASSWORD")
        return url

    @field_validator("query")
    @classmethod
    def _check_query(cls, query: str) -> str:
        if query:
            bare_select(query)
        return query

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if bool(self.table) == bool(self.query):
            raise ValueError("a sql source needs either table or query")
        return self


class Paging(Config):
    """How the pages of a REST endpoint follow each other. Without a flag, a page that leads nowhere is the last one.

    Attributes:
        kind: ``none`` (one page), ``link`` (each page holds the next one's address), ``cursor`` (each page holds a
            cursor that the next request sends), ``page`` (numbers) or ``offset`` (rows received so far); the last two
            go on until a page is empty.
        next: where the address or the cursor stands in an answer; for links, the Link header where empty.
        parameter: the query parameter that carries the cursor, the number or the offset.
        first: the number of the first page.
        more: where a flag stands that is true while there are more pages …
        end: … or one that is true on the last page.
        keep: the cursor stays good between runs, and the next run goes on from it. It carries the start: parameters
            with ``{start}`` are sent only where no cursor is known, or where the server does not know ours any more.
    """

    kind: Literal["none", "link", "cursor", "page", "offset"] = "none"
    next: str = ""
    parameter: str = ""
    first: int = Field(default=1, ge=0)
    more: str = ""
    end: str = ""
    keep: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        needed = {"cursor": {"next", "parameter"}, "page": {"parameter"}, "offset": {"parameter"}}.get(self.kind, set())
        possible = needed | ({"more", "end"} if self.kind != "none" else set())
        possible |= {"link": {"next"}, "cursor": {"keep"}, "page": {"first"}}.get(self.kind, set())
        if missing := sorted(field for field in needed if not getattr(self, field)):
            raise ValueError(f"paging by {self.kind} needs {' and '.join(missing)}")
        changed = {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
        if idle := sorted(changed - possible - {"kind"}):
            raise ValueError(f"paging by {self.kind} does not use {', '.join(idle)}: leave it out")
        if self.more and self.end:
            raise ValueError("paging needs at most one of more and end")
        for path in filter(None, (self.next, self.more, self.end)):
            check_path(path)
        return self


class RestSource(BaseSource):
    """A paged REST API whose answers are JSON, read from where the last run stopped.

    Attributes:
        base_url: the server, and what all of its endpoints have in common; further pages must come from this server.
        endpoint: the path of the resource under it.
        records: where the list of rows stands in an answer; the answer itself is the list where empty.
        parameters: query parameters; ``{start}`` in a value stands for the time or number from which on rows are
            wanted, and such a parameter is not sent where none is known.
        auth: ``none``, ``bearer`` (``CXLOOP_SOURCE_<NAME>_TOKEN``) or ``basic`` (``…_USER`` and ``…_PASSWORD``).
        paging: how further pages are reached.
        start_field: the field of a row whose largest value is the next run's start: ISO 8601 or Unix seconds.
        start_at: the first run's start, ISO 8601; everything where empty.
        start_format: how the start is written: ISO 8601, Unix seconds, or a number that grows, such as an id (which
            ``start_field`` and ``start_at`` then hold).
        start_overlap_seconds: how far before the largest time the next run starts, for rows that show up late.
    """

    kind: Literal["rest"]
    base_url: str = Field(pattern=r"^https?://[^/?#@]+(/[^?#@]*)?$")
    endpoint: str = Field(pattern=r"^[^?#]+$")
    records: str = ""
    parameters: Mapping[str, str | int | bool] = Field(default_factory=dict)
    auth: Literal["none", "bearer", "basic"] = "none"
    paging: Paging = Paging()
    start_field: str = ""
    start_at: str = ""
    start_format: Literal["iso", "unix", "number"] = "iso"
    start_overlap_seconds: int = Field(default=60, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for path in filter(None, (self.records, self.start_field)):
            check_path(path)
        is_safe = re.match(r"https:|http://(127\.0\.0\.1|localhost)(:|/|$)", self.base_url)
        if self.auth != "none" and not is_safe:
            raise ValueError("base_url needs https where a secret is sent")
        self._check_start()
        return self

    def _check_start(self) -> None:
        is_used = any("{start}" in str(value) for value in self.parameters.values())
        if is_used != bool(self.start_field or self.start_at):
            raise ValueError("a start needs {start} in one of parameters, and start_field or start_at")
        overlap = type(self).model_fields["start_overlap_seconds"].default
        if self.start_format == "number" and self.start_overlap_seconds != overlap:
            raise ValueError("start_overlap_seconds needs a start that is a time, found start_format number")
        if self.start_at and self.start_format == "number" and not self.start_at.isdecimal():
            raise ValueError("start_at needs a number where start_format is number")
        if self.start_at and self.start_format != "number":
            try:
                datetime.fromisoformat(self.start_at)
            except ValueError:
                raise ValueError(f"start_at needs an ISO 8601 time, found {self.start_at!r}") from None


Source = Annotated[FilesSource | GatewaySource | SqlSource | RestSource, Field(discriminator="kind")]


class SourcesConfig(Config):
    """configs/sources.yaml: any number of sources, any number of them for one table.

    ``parked_days``: how long a correction, an escalation or a review waits for its interaction before it goes to
    quarantine.
    """

    schema_version: Literal[2]
    parked_days: float = Field(default=14, gt=0)
    sources: tuple[Source, ...] = ()

    @model_validator(mode="after")
    def _check_source_names(self) -> Self:
        names = [source.name for source in self.sources]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"source names must differ, repeated: {', '.join(repeated)}")
        return self

    def of_tables(self, *tables: str) -> tuple[Source, ...]:
        """Return the sources that fill one of ``tables``, in the order of the file."""
        return tuple(source for source in self.sources if source.tables & set(tables))
