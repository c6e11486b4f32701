"""What every request passes first: the size of its body, the time it takes to come, headers, and being counted."""

import asyncio
import time
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.gateway.faults import Refused, TooLarge, TooSlow, tell
from serving.gateway.metrics import Metrics

_HEADERS: Final = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class Door:
    """Lets requests in whose bodies are small and quick enough.

    Args:
        app: what serves them.
        largest: bytes of a body.
        seconds: in which a body must have come.
        metrics: where requests are counted.
    """

    def __init__(self, app: ASGIApp, *, largest: int, seconds: float, metrics: Metrics) -> None:
        self._app = app
        self._largest = largest
        self._seconds = seconds
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            body = await self._read(scope, receive)
        except Refused as refused:
            await tell(refused)(scope, receive, send_noted)
        else:
            await self._app(scope, _replay(body, receive), send_noted)
        path = getattr(scope.get("route"), "path", "other")
        self._metrics.count("requests", "requests by path and status", path=path, status=str(status))
        self._metrics.observe("request_seconds", "seconds from request to answer", time.monotonic() - began, path=path)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._largest:
            raise self._too_large()
        body = bytearray()
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        break
                    body += message.get("body", b"")
                    if len(body) > self._largest:
                        raise self._too_large()
                    if not message.get("more_body", False):
                        break
        except TimeoutError:
            raise TooSlow(f"a body is needed within {self._seconds:g} s: send it faster, or in parts") from None
        return bytes(body)

    def _too_large(self) -> TooLarge:
        return TooLarge(f"a body of at most {self._largest:,} bytes is taken: send less, or in several requests")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what hands ``body`` on once, and after that what ``receive`` has."""
    is_handed = False

    async def hand_on() -> Message:
        nonlocal is_handed
        if is_handed:
            return await receive()
        is_handed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return hand_on
