"""configs/gateway.yaml: how the live API listens, and its limits."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from labeling.config import Config

GATEWAY: Final = "gateway.yaml"
"""The file of settings. A home that was made before there was a gateway lacks it, and has the settings below."""

Role = Literal["assistant", "desktop", "monitor"]
"""An assistant answers customers and asks what to say; a desktop is where agents work; a monitor reads figures."""


def _check_rate(rate: str) -> str:
    from limits import parse

    try:
        parse(rate)
    except ValueError:
        raise ValueError(f"needs a rate such as 600/minute, found {rate!r}") from None
    return rate


Rate = Annotated[str, AfterValidator(_check_rate)]


class Rates(Config):
    """How often one key of each role may ask; every message of a batch counts."""

    assistant: Rate = "30000/minute"
    desktop: Rate = "3000/minute"
    monitor: Rate = "120/minute"


class GatewayConfig(Config):
    """How the live API listens, and its limits.

    Attributes:
        address: where it listens.
        port: on which port; 0 for any free one.
        timeout_seconds: how long a message waits for its answer before it is handed off unread; also how long the
            body of a request may take to come.
        shutdown_seconds: how long requests under way may take to end once the gateway is stopped.
        body_kilobytes: the largest body of a request, in 1,024 bytes.
        longest_batch: the most messages of one request in batch form.
        longest_conversation: how many of a conversation's last turns are read.
        largest_pass: how many messages the model reads together.
        largest_queue: how many messages may wait for the model before more are refused.
        rates: how often one key may ask.
        reload_seconds: how often the registry is asked who is champion.
        shadow_share: the share of messages that the challenger answers too, in [0, 1].
        closed_cases: how many closed cases, the newest, similar ones are looked for among.
        closed_cases_minutes: how often they are read anew; they also are when another release is live.
        segment_megabytes: at what size, in 2^20 bytes, a file of the log is closed.
        remembered_answers: how many answers are found again where a request is repeated under its idempotency key.
    """

    schema_version: int = Field(default=1, ge=1, le=1)
    address: str = "127.0.0.1"
    port: int = Field(default=3030, ge=0, le=65535)
    timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    shutdown_seconds: int = Field(default=10, ge=1, le=300)
    body_kilobytes: int = Field(default=1024, ge=1, le=16_384)
    longest_batch: int = Field(default=100, ge=1, le=10_000)
    longest_conversation: int = Field(default=200, ge=1, le=10_000)
    largest_pass: int = Field(default=64, ge=1, le=4096)
    largest_queue: int = Field(default=512, ge=1)
    rates: Rates = Rates()
    reload_seconds: float = Field(default=2.0, gt=0, le=3600)
    shadow_share: float = Field(default=0.1, ge=0, le=1)
    closed_cases: int = Field(default=2_000, ge=0, le=20_000)
    closed_cases_minutes: float = Field(default=60.0, gt=0, le=10_080)
    segment_megabytes: float = Field(default=16.0, gt=0, le=1024)
    remembered_answers: int = Field(default=100_000, ge=0)
