"""Notices: what people outside are told of releases and of the gateway. The ledger is the outbox: all told is on it.

A notice carries versions, verdicts, digests and the names of those who decided. It never carries a customer's words,
and no reviewer's note, which could quote some.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, model_validator

from labeling.config import Config
from training.registry.alarm import ALARM, Finding
from training.registry.ledger import Entry
from training.registry.registry import PROMOTE, RELEASE
from training.registry.standing import ALIAS_PUT_RIGHT, CHALLENGER_NAMED, DECISION, JUDGED

NoticeKind = Literal["challenger_waits", "gate_failed", "champion_changed", "alias_tampered", "gateway_alarm"]
KINDS: Final[tuple[NoticeKind, ...]] = get_args(NoticeKind)

GATEWAY_ALARM: Final = "gateway_alarm"
"""The entry that says that the gateway raised an alarm: ``alarm`` is its name, ``told`` what is wrong in words."""


class _Told(Config):
    name: str = Field(pattern=r"^[a-z0-9_-]{1,40}$")
    url_from: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    tell: tuple[NoticeKind, ...] = Field(default=KINDS, min_length=1)


class AppriseChannel(_Told):
    """A channel of the apprise library: mail, chat, pagers and a hundred more.

    ``url_from`` names the environment variable that holds the apprise URL; ``tell`` the notices that the channel gets.
    """

    through: Literal["apprise"]


class WebhookChannel(_Told):
    """A signed webhook: ``url_from`` and ``secret_from`` name the environment variables of its URL and its secret."""

    through: Literal["webhook"]
    secret_from: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")


Channel = Annotated[AppriseChannel | WebhookChannel, Field(discriminator="through")]


class NoticesConfig(Config):
    """``notices.yaml``: who is told, and how hard we try.

    Attributes:
        channels: each gets every notice that it wants, once and in order; empty tells nobody.
        attempts: after so many (>= 1) a notice is a dead letter, and the next one goes out.
        first_wait_seconds: between the first attempt and the second; each further wait is twice as long, up to an hour.
        timeout_seconds: how long one attempt may take.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    channels: tuple[Channel, ...] = ()
    attempts: int = Field(default=8, ge=1, le=100)
    first_wait_seconds: float = Field(default=30.0, gt=0)
    timeout_seconds: float = Field(default=10.0, gt=0, le=60)

    @model_validator(mode="after")
    def _check_names(self) -> "NoticesConfig":
        names = [channel.name for channel in self.channels]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"channels need names of their own, found {', '.join(repeated)} more than once")
        return self


@dataclass(frozen=True)
class Notice:
    """One thing that happened, as people are told of it.

    Attributes:
        kind: one of ``KINDS``.
        entry: the ledger entry that it tells of.
        title: one line.
        text: a few lines.
        facts: the same for programs; versions, digests and names, as JSON.
    """

    kind: NoticeKind
    entry: Entry
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)


def read_notices(entries: Iterable[Entry]) -> Iterator[Notice]:
    """Yield the notices that ``entries`` call for, in their order; most entries call for none."""
    for entry in entries:
        describe = _WORDS.get(entry.kind)
        notice = describe(entry) if describe else None
        if notice:
            yield notice


def _describe_challenger(entry: Entry) -> Notice:
    version, replaces = entry.body["version"], entry.body.get("replaces")
    instead = f" It takes the place of version {replaces}, which waited." if replaces else ""
    return Notice(
        "challenger_waits",
        entry,
        f"{RELEASE} version {version} waits for a decision",
        f"Version {version} passed its gates.{instead} `cxloop compare {version}` shows it beside the champion.",
        {"version": version, "replaces": replaces, "case_file": entry.body.get("case_file")},
    )


def _describe_judged(entry: Entry) -> Notice | None:
    version, verdict = entry.body["version"], entry.body["verdict"]
    if verdict == PROMOTE:
        return None
    what = "did not pass its gates" if verdict == "hold" else "cannot be judged yet: its gates need more cases"
    return Notice(
        "gate_failed",
        entry,
        f"{RELEASE} version {version}: {verdict}",
        f"Version {version} {what}. `cxloop compare {version}` says which gates, and what would pass them.",
        {"version": version, "verdict": verdict, "case_file": entry.body.get("case_file")},
    )


def _describe_decision(entry: Entry) -> Notice | None:
    before, after = entry.body.get("champion_before"), entry.body.get("champion_after")
    if before == after:
        return None
    how = "took the champion back" if entry.body["decision"] == "rollback" else "approved it"
    instead = f" in place of version {before}" if before else ""
    return Notice(
        "champion_changed",
        entry,
        f"{RELEASE} version {after} is the champion",
        f"{entry.body['reviewer']} {how}: version {after} answers{instead}. `cxloop history` shows the way.",
        {"champion": after, "before": before, "decision": entry.body["decision"], "by": entry.body["reviewer"]},
    )


def _describe_alarm(entry: Entry) -> Notice:
    lines = [f"{found.where}: {found.told}" for found in (Finding(**body) for body in entry.body["new"])]
    return Notice(
        "alias_tampered",
        entry,
        f"{RELEASE}: the registry was changed by hand",
        "\n".join([*lines, "`cxloop audit verify` checks the whole record."]),
        {"findings": entry.body["new"]},
    )


def _describe_put_right(entry: Entry) -> Notice:
    moves = entry.body["moves"]
    lines = [f"{move['name']}@{move['alias']}: {move['found']} -> {move['put']}" for move in moves]
    return Notice(
        "alias_tampered",
        entry,
        f"{RELEASE}: aliases moved by hand were put right",
        "\n".join(lines),
        {"moves": moves},
    )


def _describe_gateway_alarm(entry: Entry) -> Notice:
    name, told = entry.body["alarm"], entry.body["told"]
    return Notice(
        "gateway_alarm",
        entry,
        f"the gateway raises the alarm {name}",
        f"{told}\n`/ready` of the gateway says whether it is over; docs/serving.md what is answered meanwhile.",
        {"alarm": name, "told": told},
    )


_WORDS: Final[Mapping[str, Callable[[Entry], Notice | None]]] = {
    CHALLENGER_NAMED: _describe_challenger,
    JUDGED: _describe_judged,
    DECISION: _describe_decision,
    ALARM: _describe_alarm,
    ALIAS_PUT_RIGHT: _describe_put_right,
    GATEWAY_ALARM: _describe_gateway_alarm,
}
