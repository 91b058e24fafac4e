"""What a request has to pass before its body is looked at: the token, and limits on size and time."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from toner_jax.service.answers import Refused
from toner_jax.service.page import PATHS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

OPEN = (*PATHS, "/health", "/ready")  # what nobody needs a token for


class Guard:
    """Passes on requests with the token whose body is small enough, and arrives in time.

    Attributes:
      closing: answers close their connections from now on.
    """

    def __init__(self, app: App, *, token: str | None, most_bytes: int, seconds: float):
        """Args:
        token: what `Authorization: Bearer …` has to say; None for nothing.
        most_bytes: of a body.
        seconds: that it may take to arrive.
        """
        self._app, self._most, self._seconds = app, most_bytes, seconds
        self._token = None if token is None else b"Bearer " + token.encode()
        self.closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *self._headers()]}
            async with asyncio.timeout(self._seconds):  # who does not read is not waited for
                await send(message)

        try:
            self._check(scope)
            body = await self._body(receive)
            await self._app(scope, _replayed(body, receive), sending)
        except Refused as refused:
            if begun:
                raise
            if refused.status == 413:
                await self._discard(receive)
            await refused.response()(scope, receive, sending)
        except (OSError, RuntimeError, TimeoutError):
            if not begun:
                raise
            # The client has left in the middle of its answer, or reads it too slowly: the connection ends.

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [(b"connection", b"close")] if self.closing else []

    def _check(self, scope: Scope) -> None:
        headers = dict(scope["headers"])
        given = headers.get(b"authorization", b"")
        if self._token and scope["path"] not in OPEN and not hmac.compare_digest(given, self._token):
            raise Refused(401, "a token is needed: Authorization: Bearer …", WWW_Authenticate="Bearer")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._most:
            raise self._too_large()

    async def _body(self, receive: Receive) -> bytes:
        """All of it.

        Raises:
          Refused: it is too large, or comes too slowly.
        """
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the connection ended within the body")
                    part: bytes = message.get("body", b"")
                    size += len(part)
                    if size > self._most:
                        raise self._too_large()
                    parts.append(part)
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, f"the body took more than {self._seconds:g} s", Connection="close") from None

    async def _discard(self, receive: Receive) -> None:
        """Reads on for a moment: a client that still sends would not see why it is refused."""
        left = 8 * self._most
        with suppress(TimeoutError):
            async with asyncio.timeout(min(5.0, self._seconds)):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if message["type"] == "http.disconnect" or not message.get("more_body"):
                        return

    def _too_large(self) -> Refused:
        return Refused(413, f"the body is larger than {self._most:,} bytes", Connection="close")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """What the application receives: the body at once, and then whatever comes."""
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receiving() -> Message:
        return waiting.pop() if waiting else await receive()

    return receiving
