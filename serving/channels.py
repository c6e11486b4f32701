"""How a notice leaves: through apprise, or as a signed webhook. The only file that imports either."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final, Protocol

from labeling.digests import canonical_json
from labeling.errors import NoticeError
from serving.notices import Channel, Notice, WebhookChannel

_SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how the form begins, no secret


class Sender(Protocol):
    """One open channel."""

    def send(self, notice_id: str, notice: Notice, *, now: datetime) -> None:
        """Hand over one notice; return once it was taken.

        ``notice_id`` is the same each time that this notice goes out on this channel, so that who gets it twice can
        tell.

        Raises:
            NoticeError: it was not taken, or not in time; says why, without the address (it may hold a token).
        """
        ...


def open_channel(channel: Channel, environment: Mapping[str, str], *, timeout: float) -> Sender:
    """Return a sender for ``channel``, with what the environment says of it.

    Args:
        channel: from notices.yaml.
        environment: usually ``os.environ``.
        timeout: seconds that one attempt may take.

    Raises:
        NoticeError: a variable is missing, or its value is no address.
    """
    url = _require(channel, channel.url_from, environment)
    if isinstance(channel, WebhookChannel):
        return _Webhook(url, _key(channel, _require(channel, channel.secret_from, environment)), channel.name, timeout)
    return _Apprise(url, channel.name, timeout)


class _Webhook:
    """POST as JSON, signed as the Standard Webhooks specification (standardwebhooks.com, 2023) says.

    ``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA256 over ``id.timestamp.body``, so neither body nor time
    can be changed on the way.
    """

    def __init__(self, url: str, key: bytes, name: str, timeout: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise NoticeError(f"channel {name} needs an address that begins with https://, found another: correct it")
        self._url, self._key, self._timeout = url, key, timeout

    def send(self, notice_id: str, notice: Notice, *, now: datetime) -> None:
        """Send one notice; any answer of 2xx takes it."""
        import httpx

        body = _body(notice)
        stamp = str(int(now.timestamp()))
        headers = {
            "content-type": "application/json",
            "webhook-id": notice_id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(self._key, notice_id, stamp, body),
        }
        try:
            with httpx.stream("POST", self._url, content=body, headers=headers, timeout=self._timeout) as answer:
                if not answer.is_success:
                    raise NoticeError(f"the receiver answered {answer.status_code}")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise NoticeError(f"the receiver could not be reached ({type(error).__name__})") from error


def sign(key: bytes, notice_id: str, stamp: str, body: bytes) -> str:
    """Return the value of ``webhook-signature``."""
    signed = hmac.new(key, f"{notice_id}.{stamp}.".encode() + body, sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


class _Apprise:
    """One or more apprise URLs; a notice is taken once all of them took it."""

    def __init__(self, url: str, name: str, timeout: float) -> None:
        import apprise

        self._apprise = apprise.Apprise()
        self._timeout = timeout
        if not self._apprise.add(url):
            raise NoticeError(f"channel {name} needs an apprise URL, found one that apprise does not know: correct it")

    def send(self, notice_id: str, notice: Notice, *, now: datetime) -> None:
        """Send one notice; its id stands on the last line."""
        text = f"{notice.text}\n\nledger entry {notice.entry.number}, notice {notice_id}"
        if not self._apprise.notify(title=notice.title, body=text, timeout=self._timeout):
            raise NoticeError("apprise could not deliver it")


def _body(notice: Notice) -> bytes:
    return canonical_json(
        {
            "type": f"cxloop.{notice.kind}",
            "timestamp": notice.entry.at.isoformat(timespec="microseconds"),
            "data": {
                "entry": notice.entry.number,
                "digest": notice.entry.digest,
                "title": notice.title,
                "text": notice.text,
                **notice.facts,
            },
        }
    )


def _require(channel: Channel, variable: str, environment: Mapping[str, str]) -> str:
    if value := environment.get(variable, "").strip():
        return value
    raise NoticeError(
        f"channel {channel.name} needs the environment variable {variable}, found none: set it where Dagster runs"
    )


def _key(channel: Channel, secret: str) -> bytes:
    """Return the signing key: the decoded rest of ``whsec_…``, or the text itself."""
    if not secret.startswith(_SECRET_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise NoticeError(
            f"the secret of channel {channel.name} needs base64 after {_SECRET_PREFIX}, found other characters: "
            "copy it again"
        ) from error
