"""The service's process: its socket, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator

import uvicorn

from toner_jax.common.console import say, show
from toner_jax.errors import UserError
from toner_jax.service.app import Service

_CONNECTIONS = 1000  # and no more at a time
_BACKLOG = 2048  # of those, and of others that are told so


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens at an address: who comes before there is an answer waits instead of being turned away.

    Args:
      port: 0 for any that is free.

    Raises:
      UserError: there is no such address, or another process has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)  # two processes may bind the same address, but not listen
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{host}:{port}: cannot be listened at ({reason}); choose another host or port"
        ) from None
    return listening


def address_of(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class _Server(uvicorn.Server):
    """Signals are `serve`'s affair."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settings(service: Service, seconds: float) -> uvicorn.Config:
    return uvicorn.Config(
        service.app,
        log_level="warning",
        proxy_headers=False,
        access_log=False,  # addresses and paths are nobody's business; metrics count them
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=int(seconds) + 1,
        server_header=False,
        lifespan="on",
    )


@contextlib.contextmanager
def served(service: Service, seconds: float = 60.0) -> Iterator[str]:
    """Within, a thread of this process answers requests; the address, of a port that was free."""
    listening = bound("127.0.0.1", 0)
    server = _Server(_settings(service, seconds))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        while not server.started:
            time.sleep(0.005)
        yield address_of(listening)
    finally:
        server.should_exit = True
        thread.join()


def serve(service: Service, listening: socket.socket, *, drain: float, seconds: float) -> None:
    """Says where, and answers requests until SIGTERM or Ctrl-C; what has been accepted is answered before it returns.
    A second signal ends it at once.

    Args:
      drain: for so many seconds after a signal, `/ready` says no and requests are still taken: until who sends them
        knows.
      seconds: the longest that a request may take.
    """
    config = _settings(service, seconds)
    server = _Server(config)
    show(address_of(listening))
    say("a page for the browser is there; Ctrl-C stops the service")
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_until_signal(server, service, listening, drain))


async def _until_signal(
    server: uvicorn.Server, service: Service, listening: socket.socket, drain: float
) -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if service.is_draining:
            os._exit(1)
        say("stopping: what was accepted is answered")
        service.drain()
        loop.call_later(drain, setattr, server, "should_exit", True)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await server.serve(sockets=[listening])
