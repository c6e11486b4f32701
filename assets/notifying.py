"""Telling people outside what the ledger holds."""

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg

from assets.resources import Loop

if TYPE_CHECKING:
    from serving.outbox import Delivered


def now() -> datetime:
    """Return the real time, also in a replay: those who are told live in it."""
    return datetime.now(UTC)


def send_due(loop: Loop, *, retry: bool) -> "Delivered":
    """Send what is due on every channel; where ``retry``, what failed before as well, dead letters included.

    Raises:
        LedgerError: the ledger's chain is broken.
        StorageError: the table of notices cannot be read or written.
    """
    from serving.outbox import deliver

    with loop.folder.exclusive("notices"):
        return deliver(
            loop.open_ledger().entries(),
            loop.settings.notices,
            loop.tables,
            environment=os.environ,
            now=now,
            retry=retry,
        )


@dg.op(config_schema={"retry": dg.Field(bool, default_value=False, description="Try dead letters again, now.")})
def send_notices(context: dg.OpExecutionContext, loop: Loop) -> None:
    """Send the notices that are due."""
    done = send_due(loop, retry=context.op_config["retry"])
    for lacking in done.unready:
        context.log.warning(lacking)
    facts = {"sent": done.sent, "waiting": done.waiting, "dead": done.dead, "unready": "; ".join(done.unready)}
    context.log_event(dg.AssetMaterialization("notices", metadata=facts))


@dg.job(description="Tell people outside: a challenger waits, gates failed, the champion changed, the alarm.")
def notify_job() -> None:
    """Send what the ledger holds and a channel has not got yet."""
    send_notices()
