import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from labeling.config import load_config, parse_config
from labeling.errors import ConfigError, SourceError
from labeling.sources.cursor import Cursor
from labeling.sources.records import LIST_SEPARATOR, ROW_POSITION, Batch
from labeling.sources.source import SourcesConfig, SqlSource
from labeling.sources.sql import ROW_LIMIT, read_sql
from labeling.sources.statement import bare_select

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "postgres.yaml"
ADDRESS = "Please write to maria.canary@example.org"


class Database:
    """A database of one test: a SQLite file, or a schema-less database in the session's PostgreSQL."""

    def __init__(self, url: str, password: str = "") -> None:
        self.url = url
        self.engine = sa.create_engine(sa.make_url(url).set(password=password or None), poolclass=sa.pool.NullPool)

    @property
    def is_postgres(self) -> bool:
        return self.engine.dialect.name == "postgresql"

    def run(self, *statements: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)


@pytest.fixture
def sqlite(tmp_path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'crm.sqlite'}")
    database.run("create table tickets (id integer, subject text, changed integer)")
    return database


@pytest.fixture
def postgres_database(postgres, request, monkeypatch) -> Iterator[Database]:
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_PASSWORD", postgres.password)
    whole = Database(postgres.url(), postgres.password)
    name = f"crm_{abs(hash(request.node.name))}"
    with whole.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"create database {name}"))
    database = Database(postgres.url(name), postgres.password)
    database.run("create table tickets (id integer, subject text, changed integer)")
    yield database
    with whole.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(f"drop database {name} with (force)"))


@pytest.fixture(params=["sqlite", "postgres"])
def database(request) -> Database:
    return request.getfixturevalue("sqlite" if request.param == "sqlite" else "postgres_database")


def crm(database: Database, *fields: str, **options: Any) -> SqlSource:
    columns = dict(zip(("correction_id", "label", "corrected_at", "reason"), fields or ("id", "subject"), strict=False))
    what = {} if "query" in options else {"table": "tickets"}
    return SqlSource.model_validate(
        {"name": "crm", "kind": "sql", "url": database.url, "maps": [{"table": "corrections", "columns": columns}]}
        | {"overlap": 0}
        | what
        | options
    )


def fill(database: Database, *rows: tuple[int, str | None, int | None]) -> None:
    for id_, subject, changed in rows:
        database.run("insert into tickets values (:i, :s, :c)", i=id_, s=subject, c=changed)


def ids(batches: list[Batch]) -> list[str]:
    return [value for batch in batches for value in batch.rows["id"]]


def read(source: SqlSource, state: dict[str, Any] | None = None, **options: Any) -> list[Batch]:
    return list(read_sql(source, state={} if state is None else state, **options))


def through_json(state: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(state))


def test_a_table_comes_as_strings_with_positions(database):
    fill(database, (12345, "refund", 1), (2, None, 2))
    (batch,) = read(crm(database, cursor="changed"))
    assert (batch.origin, batch.version, batch.is_last, batch.refused) == ("tickets", "", True, ())
    assert batch.rows.schema == {ROW_POSITION: pl.Int64, "id": pl.String, "subject": pl.String}
    assert batch.rows.rows() == [(1, "12345", "refund"), (2, "2", None)]


def test_an_empty_table_is_one_last_batch_without_rows(database):
    state: dict[str, Any] = {}
    (batch,) = read(crm(database, cursor="changed"), state)
    assert batch.is_last
    assert batch.rows.is_empty()
    assert state == {}


def test_only_what_is_new_or_amended_is_read_again_with_ties_and_rows_without_a_cursor(database):
    fill(database, (1, "a", 10), (2, "b", 20), (3, "c", 20), (4, "d", None))
    source, state = crm(database, cursor="changed"), {}
    assert sorted(ids(read(source, state))) == ["1", "2", "3", "4"]
    state = through_json(state)
    assert state["cursor"] == ["int", "20"]
    assert sorted(ids(read(source, state))) == ["2", "3", "4"]
    fill(database, (5, "e", 20), (6, "f", 30))
    database.run("update tickets set changed = 40, subject = 'amended' where id = 1")
    assert sorted(ids(read(source, state))) == ["1", "2", "3", "4", "5", "6"]
    assert sorted(ids(read(source, through_json(state)))) == ["1", "4"]
    assert state["cursor"] == ["int", "40"]


def test_without_a_cursor_everything_is_read_each_time(database):
    fill(database, (1, "a", 1), (2, "b", 2))
    source, state = crm(database), {}
    assert [sorted(ids(read(source, state))) for _ in range(2)] == [["1", "2"], ["1", "2"]]


def test_rows_shortly_before_the_cursor_are_read_again_for_late_transactions(database):
    fill(database, (1, "a", 10), (2, "b", 95), (3, "c", 100))
    source, state = crm(database, cursor="changed", overlap=20), {}
    read(source, state)
    fill(database, (4, "late", 90))
    assert ids(read(source, state)) == ["4", "2", "3"]


def test_a_reading_that_is_stopped_goes_on_after_the_last_batch_that_was_taken(database):
    fill(database, *[(number, "a", number) for number in range(1, 6)])
    source, state = crm(database, cursor="changed"), {}
    reading = read_sql(source, state=state, batch_rows=2)
    first = next(reading)
    assert (ids([first]), first.is_last, state) == (["1", "2"], False, {})
    second = next(reading)
    assert (ids([second]), state["cursor"]) == (["3", "4"], ["int", "2"])
    assert second.rows[ROW_POSITION].to_list() == [3, 4]
    reading.close()
    rest = read(source, through_json(state), batch_rows=2)
    assert [ids([batch]) for batch in rest] == [["2", "3"], ["4", "5"]]
    assert [batch.is_last for batch in rest] == [False, True]


def test_three_batches_of_two(database):
    fill(database, *[(number, "a", number) for number in range(1, 6)])
    batches = read(crm(database, cursor="changed"), batch_rows=2)
    assert [ids([batch]) for batch in batches] == [["1", "2"], ["3", "4"], ["5"]]
    assert [position for batch in batches for position in batch.rows[ROW_POSITION]] == [1, 2, 3, 4, 5]


def test_a_cursor_that_went_back_has_everything_read_again_and_says_so(database, caplog):
    fill(database, (1, "a", 100), (2, "b", 200))
    source, state = crm(database, cursor="changed"), {}
    read(source, state)
    database.run("delete from tickets where id = 2")
    fill(database, (3, "restored", 50))
    with caplog.at_level(logging.WARNING):
        assert ids(read(source, state)) == ["3", "1"]
    assert "source crm: the cursor changed went back" in caplog.text
    assert state["cursor"] == ["int", "100"]


def test_an_emptied_table_forgets_the_cursor_so_that_numbers_may_start_again(database, caplog):
    fill(database, (1, "a", 100))
    source, state = crm(database, cursor="changed"), {}
    read(source, state)
    database.run("delete from tickets")
    assert ids(read(source, state)) == []
    fill(database, (1, "again", 1))
    assert ids(read(source, state)) == ["1"]
    assert caplog.text == ""


def test_another_query_or_cursor_starts_from_the_beginning(database):
    fill(database, (1, "a", 1), (2, "b", 2))
    state: dict[str, Any] = {}
    read(crm(database, cursor="changed"), state)
    assert ids(read(crm(database, cursor="id"), state)) == ["1", "2"]
    assert ids(read(crm(database, cursor="id", query="select * from tickets"), state)) == ["1", "2"]
    assert ids(read(crm(database, cursor="id", query="select * from tickets"), state)) == ["2"]


def test_a_cursor_whose_column_has_another_type_now_starts_from_the_beginning(postgres_database):
    database = postgres_database
    fill(database, (1, "a", 1), (2, "b", 2))
    source, state = crm(database, cursor="changed"), {}
    read(source, state)
    database.run("alter table tickets alter changed type timestamptz using to_timestamp(changed)")
    assert ids(read(source, state)) == ["1", "2"]
    assert state["cursor"][0] == "time"


@pytest.mark.parametrize(
    "query",
    [
        "select * from tickets",
        "select * from tickets; -- all; of them\n /* and; so */ ;",
        "-- what agents changed\nselect * from tickets -- trailing",
        "with recent as (select * from tickets) select * from recent;",
        "select id, subject, changed, ';' as semicolon, '12:30 :x %s' as \"odd;name\" from tickets",
        "SELECT id, changed, cast(subject as text) AS subject FROM tickets ORDER BY id DESC",
    ],
)
def test_a_query_is_read_by_its_cursor(database, query):
    fill(database, (1, "50% :off", 1), (2, "b", 2))
    source, state = crm(database, query=query, cursor="changed"), {}
    (batch,) = read(source, state)
    assert (batch.origin, batch.rows.rows()) == ("query", [(1, "1", "50% :off"), (2, "2", "b")])
    assert ids(read(source, state)) == ["2"]


@pytest.mark.parametrize(
    "query",
    [
        "drop table tickets",
        "select 1; drop table tickets",
        "insert into tickets values (1)",
        ";",
        "-- nothing",
        "explain",
    ],
)
def test_what_is_not_one_select_is_refused_before_anything_runs(sqlite, query):
    with pytest.raises(ValueError, match="query needs"):
        crm(sqlite, query=query)


def test_quotes_hide_semicolons_from_the_check():
    assert bare_select("select E'it\\'s; ' , $a$ ; $a$, \"x;\" , 'a''; ' ;") == (
        "select E'it\\'s; ' , $a$ ; $a$, \"x;\" , 'a''; '"
    )


def test_nothing_is_ever_written(database):
    writing = "with gone as (delete from tickets returning *) select * from gone"
    if database.is_postgres:
        database.run("create function sneak() returns int language sql as 'delete from tickets returning id'")
        writing = "select id, subject, sneak() from tickets"
    fill(database, (1, "a", 1))
    with pytest.raises(SourceError):
        read(crm(database, query=writing))
    assert ids(read(crm(database))) == ["1"]


def test_names_in_sources_yaml_are_quoted(database):
    database.run('create table "odd ""table; drop" ("select" integer, "a ""b" text)')
    database.run("""insert into "odd ""table; drop" values (1, 'x')""")
    source = crm(database, "select", 'a "b', table='odd "table; drop', cursor="select")
    assert read(source)[0].rows.rows() == [(1, "1", "x")]
    with pytest.raises(SourceError, match="needs table tickets; drop table tickets, the database has"):
        read(crm(database, table="tickets; drop table tickets"))


def test_a_schema_can_be_named(database):
    table = "tickets"
    if database.is_postgres:
        database.run("create schema crm", "create table crm.tickets as select 7 as id, 'in crm' as subject")
        table = "crm.tickets"
        assert ids(read(crm(database, table=table))) == ["7"]
    else:
        assert ids(read(crm(database, table="main.tickets"))) == []


def test_missing_tables_and_columns_are_named_with_those_that_are_there(database):
    with pytest.raises(SourceError, match=r"source crm needs table gone, the database has .*tickets"):
        read(crm(database, table="gone"))
    with pytest.raises(SourceError, match="source crm needs column title, the table has changed, id, subject"):
        read(crm(database, "id", "title"))
    with pytest.raises(SourceError, match="source crm needs column changed_at, the query has id, subject"):
        read(crm(database, query="select id, subject from tickets", cursor="changed_at"))
    with pytest.raises(SourceError, match=r"the query could not be read.*wrong"):
        read(crm(database, query="select wrong from tickets"))


def test_a_column_that_may_be_missing_is_null_without_one(database):
    fill(database, (1, "a", 1))
    source = SqlSource.model_validate(
        crm(database).model_dump(exclude={"maps"})
        | {
            "maps": [
                {
                    "table": "corrections",
                    "columns": {"correction_id": "id", "reason": {"from": "why", "optional": True}},
                }
            ]
        }
    )
    assert read(source)[0].rows.rows() == [(1, "1", None)]


def test_numbers_flags_and_json_keep_what_they_say(database):
    kinds = (
        {"n": "numeric", "b": "boolean", "j": "jsonb"}
        if database.is_postgres
        else {"n": "integer", "b": "boolean", "j": "json"}
    )
    database.run(f"create table typed (id bigint, n {kinds['n']}, b {kinds['b']}, j {kinds['j']})")
    document = {"fields": [{"id": 7, "value": "refund"}], "amount": 1.10, "tags": ["a", "b"]}
    database.run(
        "insert into typed values (9007199254740993, 12345678901234567, true, :j)",
        j=json.dumps(document).replace("1.1", "12345678901234567890.50"),
    )
    source = crm(database, "id", "n", "b", "j.fields[id=7].value", table="typed")
    assert read(source)[0].rows.row(0)[1:] == ("9007199254740993", "12345678901234567", "true", "refund")
    source = crm(database, "j.amount", "j.tags", "j.nothing", table="typed")
    assert read(source)[0].rows.row(0)[1:] == ("12345678901234567890.50", f"a{LIST_SEPARATOR}b", None)


def test_json_in_a_text_column_is_entered_and_broken_json_refused(database):
    fill(database, (1, '{"label": "refund"}', 1), (2, '{"label": "re', 2), (3, '["' + ADDRESS + '"]', 3), (4, None, 4))
    (batch,) = read(crm(database, "id", "subject.label", cursor="changed"))
    assert batch.rows.rows() == [(1, "1", "refund"), (3, "3", None), (4, "4", None)]
    assert [(one.position, one.code) for one in batch.refused] == [(2, "broken_json")]


def test_a_path_into_a_json_column_finds_nothing_in_a_single_value(postgres_database):
    postgres_database.run("create table plain (id int, j jsonb)")
    for number, document in enumerate(['"word"', "7", "null", '{"label": "refund"}']):
        postgres_database.run("insert into plain values (:n, cast(:j as jsonb))", n=number, j=document)
    (batch,) = read(crm(postgres_database, "id", "j.label", table="plain"))
    assert batch.rows["j.label"].to_list() == [None, None, None, "refund"]
    assert batch.refused == ()


def test_nested_values_are_refused_alone(postgres_database):
    database = postgres_database
    database.run(
        "create table deep (id int, j jsonb, tags text[])",
        """insert into deep values (1, '{"a": 1}', '{}'), (2, '[1, 2]', '{x,y}'), (3, null, null)""",
    )
    (batch,) = read(crm(database, "id", "j", "tags", table="deep"))
    assert batch.rows.rows() == [(2, "2", f"1{LIST_SEPARATOR}2", f"x{LIST_SEPARATOR}y"), (3, "3", None, None)]
    assert [(one.position, one.code) for one in batch.refused] == [(1, "nested_value")]


def test_every_postgres_type_becomes_plain_text(postgres_database):
    database = postgres_database
    database.run(
        "create type mood as enum ('calm', 'angry')",
        "create table kinds (small numeric, exact numeric, real8 float8, key uuid)",
        "insert into kinds values (0.00000001, 100.00, 0.1, '6ecd8c99-4036-403d-bf84-cf8400f67836')",
        "create table more (raw bytea, mood mood, day date, span interval)",
        "insert into more values (convert_to('caf\u00e9', 'UTF8'), 'calm', '2024-02-29', '1 day')",
    )
    (batch,) = read(crm(database, "small", "exact", "real8", "key", table="kinds"))
    assert batch.rows.row(0)[1:] == ("0.00000001", "100.00", "0.1", "6ecd8c99-4036-403d-bf84-cf8400f67836")
    (batch,) = read(crm(database, "raw", "mood", "day", "span", table="more"))
    assert batch.rows.row(0)[1:] == ("caf\u00e9", "calm", "2024-02-29", "1 day, 0:00:00")


def test_times_keep_their_zone_and_naive_ones_stay_naive(postgres_database):
    database = postgres_database
    database.run(
        "create table times (id int, zoned timestamptz, bare timestamp)",
        "insert into times values (1, '2026-03-29 02:30:00.123456+02', '2026-03-29 02:30:00')",
        "insert into times values (2, '2026-03-29 03:30:00+02', null)",
    )
    database.run(f"alter database {database.engine.url.database} set timezone to 'Europe/Berlin'")
    source, state = crm(database, "id", "zoned", "bare", table="times", cursor="zoned"), {}
    (batch,) = read(source, state)
    zoned = [datetime.fromisoformat(text) for text in batch.rows["zoned"]]
    assert zoned == [datetime(2026, 3, 29, 0, 30, 0, 123456, tzinfo=UTC), datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]
    assert batch.rows["bare"].to_list() == ["2026-03-29T02:30:00", None]
    assert ids(read(source, through_json(state))) == ["2"]
    naive, state = crm(database, "id", table="times", cursor="bare"), {}
    read(naive, state)
    assert state["cursor"] == ["time", "2026-03-29T02:30:00"]
    assert sorted(ids(read(naive, through_json(state)))) == ["1", "2"]


def test_times_that_python_lacks_do_not_end_the_reading(postgres_database):
    database = postgres_database
    database.run(
        "create table times (id int, at timestamptz)",
        "insert into times values (1, '-infinity'), (2, '2026-01-01Z'), (3, '0044-03-15 BC'), (4, 'infinity')",
    )
    source, state = crm(database, "id", "at", table="times", cursor="at"), {}
    assert ids(read(source, state)) == ["1", "3", "2", "4"]
    assert state["cursor"][0] == "time"
    database.run("insert into times values (5, '2026-01-02Z')")
    assert ids(read(source, through_json(state))) == ["2", "5", "4"]


def test_a_cursor_ahead_of_the_clock_is_read_and_skips_nothing(database):
    kind = "timestamptz" if database.is_postgres else "text"
    ahead = (datetime.now(UTC) + timedelta(days=400)).isoformat()
    database.run(f"create table times (id int, at {kind})")
    database.run("insert into times values (1, '2026-01-01T00:00:00+00:00')")
    database.run(f"insert into times values (2, '{ahead}')")  # noqa: S608
    source, state = crm(database, "id", "at", table="times", cursor="at"), {}
    assert ids(read(source, state)) == ["1", "2"]
    database.run("insert into times values (3, '2026-01-02T00:00:00+00:00')")
    assert ids(read(source, state)) == ["1", "3", "2"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("numeric", ["1.10", "2.20"]),
        ("float8", ["0.1", "0.2"]),
        ("bigint", ["4294967296", "9007199254740993"]),
        ("text", ["'a'", "'B'"]),
        ("date", ["'2024-02-29'", "'2024-03-01'"]),
        ("bytea", [r"'\x0001'", r"'\x00ff'"]),
        ("uuid", ["'00000000-0000-7000-8000-000000000001'", "'00000000-0000-7000-8000-000000000002'"]),
    ],
)
def test_a_cursor_of_any_ordered_type_goes_on_where_it_was(postgres_database, kind, values):
    database = postgres_database
    collation = 'collate "und-x-icu"' if kind == "text" else ""
    database.run(f"create table kinds (id int, seen {kind} {collation})")
    for number, value in enumerate(values, start=1):
        database.run(f"insert into kinds values ({number}, {value})")  # noqa: S608
    source, state = crm(database, "id", table="kinds", cursor="seen"), {}
    assert ids(read(source, state)) == ["1", "2"]
    assert ids(read(source, through_json(state))) == ["2"]


def test_a_cursor_that_has_no_order_is_refused(postgres_database):
    postgres_database.run("create table flags (id int, done boolean)", "insert into flags values (1, true)")
    with pytest.raises(SourceError, match="the cursor done needs numbers, times or texts, found bool"):
        read(crm(postgres_database, "id", table="flags", cursor="done"))


def test_nan_does_not_stop_the_cursor(postgres_database):
    database = postgres_database
    database.run("create table odd (id int, seen float8)", "insert into odd values (1, 1), (2, 'NaN')")
    source, state = crm(database, "id", table="odd", cursor="seen"), {}
    assert ids(read(source, state)) == ["1", "2"]
    database.run("insert into odd values (3, 2)")
    assert ids(read(source, state)) == ["1", "3", "2"]


def test_broken_text_in_sqlite_refuses_its_row_and_no_other(sqlite):
    fill(sqlite, (1, "a", 1), (3, "nul \x00 inside", 3))
    sqlite.run("insert into tickets values (2, cast(x'fffe41' as text), 2), (4, x'636166c3a9', 4), (5, x'ff', 5)")
    (batch,) = read(crm(sqlite, cursor="changed"))
    assert batch.rows.rows() == [(1, "1", "a"), (3, "3", "nul \x00 inside"), (4, "4", "caf\u00e9")]
    assert [(one.position, one.code, one.reason) for one in batch.refused] == [
        (2, "broken_encoding", "subject is not UTF-8"),
        (5, "broken_encoding", "subject is not UTF-8"),
    ]
    assert all(len(one.content_digest) == 64 for one in batch.refused)


def test_huge_rows_are_refused_and_large_ones_make_smaller_batches(database, monkeypatch):
    monkeypatch.setattr("labeling.sources.sql._BATCH_CHARACTERS", 1_000_000)
    fill(database, (1, "x" * (ROW_LIMIT + 1), 1), *[(number, "y" * 600_000, number) for number in range(2, 6)])
    batches = read(crm(database, cursor="changed"))
    assert [ids([batch]) for batch in batches] == [["2", "3"], ["4", "5"]]
    assert [one.code for one in batches[0].refused] == ["line_too_long"]


def test_a_wrong_password_is_named_and_never_shown(postgres_database, monkeypatch):
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_PASSWORD", "wrong-secret-canary")
    with pytest.raises(SourceError, match="refused the user or the password: set CXLOOP_SOURCE_CRM_PASSWORD") as caught:
        read(crm(postgres_database))
    assert "canary" not in str(caught.value)
    monkeypatch.delenv("CXLOOP_SOURCE_CRM_PASSWORD")
    with pytest.raises(SourceError, match="set CXLOOP_SOURCE_CRM_PASSWORD"):
        read(crm(postgres_database))


def test_the_user_may_come_from_the_environment_and_needs_the_right_to_read(postgres_database, monkeypatch):
    postgres_database.run(f"create role guest_{postgres_database.engine.url.database} login password 'guest'")
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_USER", f"guest_{postgres_database.engine.url.database}")
    monkeypatch.setenv("CXLOOP_SOURCE_CRM_PASSWORD", "guest")
    with pytest.raises(SourceError, match="the user may not read tickets: grant it select"):
        read(crm(postgres_database))


def test_a_database_that_is_not_there_is_named(postgres_database, postgres, tmp_path):
    with pytest.raises(SourceError, match="there is no database nowhere"):
        read(crm(Database(postgres.url("nowhere"), postgres.password)))
    with pytest.raises(SourceError, match=r"127\.0\.0\.1:1 does not answer"):
        read(crm(Database("postgresql+psycopg://reader@127.0.0.1:1/crm")))
    missing = tmp_path / "missing.sqlite"
    with pytest.raises(SourceError, match="needs the SQLite file"):
        read(crm(Database(f"sqlite:///{missing}")))
    assert not missing.exists()


def test_a_driver_that_is_not_installed_is_named_with_its_package(sqlite):
    for url, package in {"oracle+oracledb://u@h/d": "oracledb", "snowflake://u@h/d": "snowflake-sqlalchemy"}.items():
        source = crm(sqlite).model_copy(update={"url": url})
        with pytest.raises(SourceError, match=f"needs the package {package}"):
            read(source)


def test_a_lost_connection_keeps_what_was_read_and_the_next_run_goes_on(postgres_database):
    database = postgres_database
    database.run("insert into tickets select n, repeat('long', 500), n from generate_series(1, 20000) as n")
    source, state = crm(database, cursor="changed"), {}
    reading = read_sql(source, state=state, batch_rows=1_000)
    taken = [*ids([next(reading)]), *ids([next(reading)])]
    others = "from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()"
    database.run(f"select pg_terminate_backend(pid) {others}")
    with pytest.raises(SourceError, match=r"the connection was lost after .* rows: what was read is kept") as caught:
        taken.extend(value for batch in reading for value in batch.rows["id"])
    assert caught.value.__suppress_context__
    taken += ids(read(source, through_json(state)))
    assert set(taken) == {str(number) for number in range(1, 20_001)}


def test_a_row_that_the_query_fails_on_shows_nothing_of_itself(postgres_database):
    database = postgres_database
    fill(database, (1, ADDRESS, 1))
    with pytest.raises(SourceError, match="the query could not be read after 0 rows") as caught:
        read(crm(database, query="select id, cast(subject as integer) as subject from tickets"))
    assert "canary" not in str(caught.value)


def test_reading_leaves_no_connection_open(postgres_database):
    fill(postgres_database, (1, "a", 1), (2, "b", 2))
    reading = read_sql(crm(postgres_database), state={}, batch_rows=1)
    next(reading)
    reading.close()
    with postgres_database.engine.connect() as connection:
        others = sa.text(
            "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        assert connection.execute(others).scalar() == 0


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://reader:hidden-canary@db/crm",
        "postgresql+psycopg://db/crm?password=hidden-canary",
        "mssql+pyodbc://?odbc_connect=Driver%3Dx%3BPwd%3Dhidden-canary",
        "hidden-canary",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(url):
    raw = {
        "schema_version": 2,
        "sources": [{"name": "crm", "kind": "sql", "url": url, "table": "t", "maps": [{"table": "corrections"}]}],
    }
    with pytest.raises(ConfigError, match=r"url (holds a password|needs SQLAlchemy's form)") as caught:
        parse_config(raw, SourcesConfig, name="sources.yaml")
    assert "canary" not in str(caught.value)


def test_a_source_names_a_table_or_a_query_not_both(sqlite):
    with pytest.raises(ValueError, match="either table or query"):
        crm(sqlite, table="tickets", query="select 1")
    with pytest.raises(ValueError, match="either table or query"):
        crm(sqlite, table="")


@pytest.mark.parametrize(
    "value",
    [7, 0.1, datetime(2026, 1, 1, 5, 6, 7, 8, tzinfo=UTC), datetime(2026, 1, 1), "a\u00e9", b"\x00\xff"],  # noqa: DTZ001
)
def test_a_cursor_survives_json(value):
    cursor = Cursor.of(value)
    assert cursor is not None
    assert Cursor.from_json(through_json({"c": cursor.to_json()})["c"]) == cursor


def test_the_example_for_postgres_loads():
    messages, tickets = load_config(EXAMPLE, SourcesConfig).sources
    assert (messages.kind, tickets.kind) == ("sql", "sql")
    assert "details.intent.label" in messages.paths
