"""One request to a REST API: who asks, how long a server is waited for, and what its answer must be.

dlt gives the client: authentication, requests, and retries that honour Retry-After. Its paginators are not used (see
``labeling.sources.rest`` for ours): they follow a link to any host with our secret, quote whole answers in their
errors, take a missing list for an empty one, and go round in circles with a server that does.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import SplitResult, urljoin, urlsplit

from requests import PreparedRequest, Response
from requests.auth import AuthBase
from requests.exceptions import Timeout

from labeling.errors import SourceError
from labeling.sources.path import pick
from labeling.sources.source import RestSource

_REDIRECTS: Final = 5


@dataclass(frozen=True)
class Patience:
    """How long a server is waited for.

    Attributes:
        attempts: requests for one page, all answers 429 and 5xx, cut connections and timeouts together.
        first_wait_seconds: before the second attempt; doubled before each further one.
        longest_wait_seconds: between two attempts, also where Retry-After asks for more.
        silence_seconds: without a byte.
        answer_seconds: for a whole answer.
        answer_bytes: of the largest answer.
    """

    attempts: int = 6
    first_wait_seconds: float = 1
    longest_wait_seconds: float = 120
    silence_seconds: float = 60
    answer_seconds: float = 900
    answer_bytes: int = 512 * 1024 * 1024


PATIENCE: Final = Patience()


@dataclass(frozen=True)
class Page:
    """An answer: the address it came from, the JSON, the list in it, and the Link header's next address."""

    url: str
    body: Any
    records: list[Any]
    link: str | None
    answered_at: datetime
    version: str
    is_utf8: bool


class Refused(SourceError):
    """The server answered, with another status than 200."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class RestApi:
    """dlt's client, kept to one server, with bounded answers."""

    def __init__(self, source: RestSource, patience: Patience) -> None:
        from dlt.common.configuration.specs import RuntimeConfiguration
        from dlt.sources.helpers.requests import Client
        from dlt.sources.helpers.rest_client.client import RESTClient

        self._source, self._patience = source, patience
        client = Client(
            raise_for_status=False,
            request_timeout=patience.silence_seconds,
            request_max_attempts=patience.attempts,
            request_backoff_factor=patience.first_wait_seconds,
            request_max_retry_delay=patience.longest_wait_seconds,
        )
        self._client = RESTClient(
            base_url=source.base_url,
            headers={"Accept": "application/json"},
            auth=_authentication(source),
            session=client.session,
            config=RuntimeConfiguration(),
        )

    def get(self, url: str, parameters: Mapping[str, str]) -> Page:
        """Return one page.

        Raises:
            Refused: the status is not 200, also after the last attempt.
            SourceError: there is no whole answer, it has another form, or it comes from another server.
        """
        response, body = self._follow(url, parameters)
        if response.status_code != 200:
            raise self._refused(response)
        content, is_utf8 = self._parse(response, body)
        return Page(
            url=response.url,
            body=content,
            records=self._records(response, content),
            link=response.links.get("next", {}).get("url"),
            answered_at=_answered_at(response),
            version=hashlib.sha256(body).hexdigest(),
            is_utf8=is_utf8,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.session.close()

    def _follow(self, url: str, parameters: Mapping[str, str]) -> tuple[Response, bytes]:
        """Ask, and follow redirects within the server: dlt would retry inside of retries, and send on elsewhere."""
        for _ in range(_REDIRECTS + 1):
            self._check_server(url)
            response, body = self._send(url, parameters)
            if not response.is_redirect:
                return response, body
            url, parameters = join(response.url, response.headers["Location"]), {}
        raise self._error(url, f"redirects more than {_REDIRECTS} times: check base_url and endpoint")

    def _send(self, url: str, parameters: Mapping[str, str]) -> tuple[Response, bytes]:
        body = bytearray()

        def read(response: Response, *_args: Any, **_options: Any) -> None:
            # inside of the attempt, so that a body that breaks off is asked for again
            body.clear()
            deadline = time.monotonic() + self._patience.answer_seconds
            for chunk in response.iter_content(1 << 18):
                body.extend(chunk)
                if len(body) > self._patience.answer_bytes:
                    response.close()
                    limit = self._patience.answer_bytes
                    raise self._error(url, f"answers more than {limit:,} bytes: ask for smaller pages in parameters")
                if time.monotonic() > deadline:
                    response.close()
                    raise Timeout(f"more than {self._patience.answer_seconds} seconds")

        try:
            response = self._client.get(
                url, params=dict(parameters), hooks={"response": [read]}, allow_redirects=False, stream=True
            )
        except (OSError, ValueError) as error:
            attempts = self._patience.attempts
            found = f"does not answer in full ({type(error).__name__}, up to {attempts} attempts)"
            raise self._error(url, f"{found}: check base_url and the network, and run again") from None
        return response, bytes(body)

    def _check_server(self, url: str) -> None:
        try:
            found, needed = _server(urlsplit(url)), _server(urlsplit(self._source.base_url))
        except ValueError:
            raise self._error(self._source.base_url, "leads to an address that cannot be read") from None
        if found != needed:
            message = f"leads to another server ({found[1] or 'none'}), where our secret must not go: check base_url"
            raise self._error(self._source.base_url, message)

    def _parse(self, response: Response, body: bytes) -> tuple[Any, bool]:
        try:
            text, is_utf8 = body.decode("utf-8-sig"), True
        except UnicodeDecodeError:
            text, is_utf8 = body.decode("utf-8", "surrogateescape"), False
        try:
            return json.loads(text, parse_int=str, parse_float=str, parse_constant=str), is_utf8
        except (ValueError, RecursionError):
            content_type = re.match(r"[\w/+.-]{1,60}", response.headers.get("Content-Type", ""))
            found = content_type[0] if content_type else "something else"
            message = f"needed JSON, found {found} ({len(body):,} bytes): check base_url, endpoint and the login"
            raise self._error(response.url, message) from None

    def _records(self, response: Response, content: Any) -> list[Any]:
        path = self._source.records
        found = at_path(content, path) if path else content
        if isinstance(found, list):
            return found
        where = f" at {path}" if path else ""
        seen = f"keys {_keys(content)}" if isinstance(content, Mapping) else kind_of(content)
        message = f"gave an answer of another form: needed a list{where}, found {seen}: check records"
        raise self._error(response.url, message)

    def _refused(self, response: Response) -> Refused:
        status, advice = response.status_code, "check endpoint and parameters"
        if status in {401, 403}:
            advice = f"check {' and '.join(_secrets(self._source)) or 'auth: it is none'}, and its rights"
        elif status == 404:
            advice = "there is no such resource: check base_url and endpoint"
        elif status == 429 or status >= 500:
            advice = f"also at attempt {self._patience.attempts}: run again later"
        return Refused(str(self._error(response.url, f"answered {status}: {advice}")), status)

    def _error(self, url: str, message: str) -> SourceError:
        return SourceError(f"source {self._source.name}: {place(url)} {message}")


class _NoLogin(AuthBase):
    """Sends nothing, not even what .netrc holds for the host."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        return request


def _authentication(source: RestSource) -> AuthBase:
    from dlt.sources.helpers.rest_client.auth import BearerTokenAuth, HttpBasicAuth

    secrets = []
    for variable in _secrets(source):
        secret = os.environ.get(variable, "").strip()
        if not secret:
            raise SourceError(f"source {source.name}: auth {source.auth} needs {variable} in the environment: set it")
        if source.auth == "bearer" and not (secret.isascii() and secret.isprintable()):
            raise SourceError(
                f"source {source.name}: {variable} needs printable ASCII, found something else: set it again"
            )
        secrets.append(secret)
    if source.auth == "bearer":
        return BearerTokenAuth(token=secrets[0])
    return HttpBasicAuth(username=secrets[0], password=secrets[1]) if source.auth == "basic" else _NoLogin()


def _secrets(source: RestSource) -> list[str]:
    """Return the environment variables that hold the secrets of ``source``."""
    parts = {"bearer": ("TOKEN",), "basic": ("USER", "PASSWORD")}.get(source.auth, ())
    return [f"CXLOOP_SOURCE_{source.name.upper()}_{part}" for part in parts]


def _answered_at(response: Response) -> datetime:
    """Return the server's time, and ours where it tells none: only a guard against times in the future."""
    try:
        read = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError, TypeError):
        return datetime.now(UTC)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _server(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def place(url: str) -> str:
    """Return ``url`` without its query, which may hold a secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    except ValueError:
        return "its server"


def join(url: str, link: str) -> str:
    """Return the address that ``link`` means on the page ``url``; ``link`` itself where it cannot be read."""
    try:
        return urljoin(url, link)
    except ValueError:
        return link


def at_path(body: Any, path: str) -> Any:
    """Return what stands at ``path``, None where ``body`` is no object."""
    return pick(body, path) if isinstance(body, Mapping) else None


def kind_of(value: Any) -> str:
    """Return a word for what ``value`` is, and nothing of what it says."""
    kinds = {dict: "an object", list: "a list", str: "a text or a number", bool: "true or false"}
    return kinds.get(type(value), "nothing")


def _keys(content: Mapping[str, Any]) -> str:
    """Return the names of keys; such as are no names may be data, and are not told."""
    names = [key if re.fullmatch(r"[A-Za-z_][\w-]{0,39}", key, re.ASCII) else "…" for key in list(content)[:10]]
    return ", ".join(dict.fromkeys(names)) or "none"
