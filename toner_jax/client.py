"""A client of `toner-jax serve`, of the standard library alone: this file can be copied anywhere."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

Labels = Sequence[str] | Mapping[str, str | None]


class ServiceError(Exception):
    """The service refused, or could not answer.

    Attributes:
      status: HTTP's; 0 where it cannot be reached.
      reason: its own words.
    """

    def __init__(self, status: int, reason: str):
        super().__init__(f"{reason} (status {status})" if status else reason)
        self.status, self.reason = status, reason


class Client:
    """Asks a service; threads may share one, each with a connection of its own."""

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retries: int = 3,
    ):
        """Args:
        url: the service's.
        token: what it wants, if anything.
        timeout: seconds to wait for an answer.
        retries: how often a request that meets a full queue comes again, after as long as the service says.

        Raises:
          ValueError: no URL of HTTP.
        """
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address, as http://127.0.0.1:8000")
        self._make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._path = parts.hostname, parts.port, parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout, self._retries = timeout, retries
        self._own = threading.local()

    def predict(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        flat: bool = False,
    ) -> list[list[dict[str, Any]]]:
        """The entities of each text, as `Ner.predict` gives them."""
        answer = self._post("predict", _asked(texts, labels, threshold, type_threshold, flat))
        return [found["entities"] for found in answer["predictions"]]

    def explain(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
    ) -> list[dict[str, Any]]:
        """As `Ner.explain`: of each text {"entities", "explanation", "info"}."""
        answer = self._post("explain", _asked(texts, labels, threshold, type_threshold))
        found: list[dict[str, Any]] = answer["predictions"]
        return found

    def match_types(self, texts: Sequence[str], labels: Labels | None = None) -> list[dict[str, float]]:
        """The cosine of each text and label, by descending value."""
        found: list[dict[str, float]] = self._post("match_types", _asked(texts, labels))["types"]
        return found

    def stream(
        self,
        texts: Sequence[str],
        labels: Labels | None = None,
        threshold: float | None = None,
        type_threshold: float | None = None,
        *,
        flat: bool = False,
    ) -> Iterator[dict[str, Any]]:
        """As `predict`, a sentence at a time as soon as it is read.

        Yields:
          {"text", "last", "entities", "info"}: of which text, whether it is that one's last, and what was found.
        """
        asked = {**_asked(texts, labels, threshold, type_threshold, flat), "stream": True}
        answer, ended = self._answer("POST", "predict", asked), 0
        # The connection is this answer's: what is asked meanwhile has another.
        connection, self._own.connection = self._own.connection, None
        try:
            for line in answer:
                said: dict[str, Any] = json.loads(line)
                if "error" in said:
                    raise ServiceError(503, said["error"])
                ended += said["last"]
                yield said
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceError(0, f"the answer broke off ({error})") from None
        finally:
            connection.close()
        if ended < len(asked["texts"]):
            raise ServiceError(0, "the answer broke off")

    def model(self) -> dict[str, Any]:
        """The model's labels and thresholds, and the limits of a request."""
        return self._read(self._answer("GET", "model"))

    def is_ready(self) -> bool:
        """Whether no text has to wait for a program to be compiled."""
        try:
            return bool(self._read(self._answer("GET", "ready", retries=0))["ready"])
        except ServiceError:
            return False

    def wait(self, seconds: float = 300.0) -> None:
        """Returns once it is ready.

        Raises:
          ServiceError: it is not, after so long.
        """
        until = time.monotonic() + seconds
        while not self.is_ready():
            if time.monotonic() > until:
                raise ServiceError(0, f"the service is not ready after {seconds:g} s")
            time.sleep(min(0.2, seconds))

    def _post(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        return self._read(self._answer("POST", path, asked))

    def _read(self, answer: http.client.HTTPResponse) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._close()
            raise ServiceError(0, f"the answer broke off ({error})") from None
        return found

    def _answer(
        self, method: str, path: str, asked: Any = None, retries: int | None = None
    ) -> http.client.HTTPResponse:
        """An answer of status 200.

        Raises:
          ServiceError: any other, or none.
        """
        left = self._retries if retries is None else retries
        while True:
            answer = self._sent(method, path, asked)
            if answer.status == 200:
                return answer
            reason, waiting = _reason(answer.read()), answer.headers.get("Retry-After", "")
            if not waiting.isdigit() or left == 0:  # it asks to come again where that may help
                raise ServiceError(answer.status, reason)
            left -= 1
            time.sleep(min(float(waiting), self._timeout))

    def _sent(self, method: str, path: str, asked: Any) -> http.client.HTTPResponse:
        """An answer of any status. A connection that the service has closed meanwhile is opened once more: nothing that
        is asked changes anything, so it may be asked twice."""
        body = None if asked is None else json.dumps(asked).encode()
        headers = {**self._headers, **({"Content-Type": "application/json"} if body else {})}
        for fresh in (False, True):
            kept = getattr(self._own, "connection", None)
            if kept is None or fresh:
                kept = self._own.connection = self._make(self._host, self._port, timeout=self._timeout)
                fresh = True
            try:
                with suppress(
                    BrokenPipeError, ConnectionResetError
                ):  # it may have refused before it read all
                    kept.request(method, f"{self._path}/{path}", body, headers)
                found: http.client.HTTPResponse = kept.getresponse()
                return found
            except (OSError, http.client.HTTPException) as error:
                self._close()
                if fresh or isinstance(error, TimeoutError):
                    where = f"{self._host}:{self._port or ''}".rstrip(":")
                    raise ServiceError(0, f"{where} does not answer ({error})") from None
        raise AssertionError("the second connection answers or fails")

    def _close(self) -> None:
        if kept := getattr(self._own, "connection", None):
            kept.close()
            self._own.connection = None


def _asked(
    texts: Sequence[str],
    labels: Labels | None,
    threshold: float | None = None,
    type_threshold: float | None = None,
    flat: bool = False,
) -> dict[str, Any]:
    """A request's body, without what is left to the service."""
    if isinstance(texts, str):
        raise TypeError("expected a list of texts; wrap a single one: [text]")
    given = {"threshold": threshold, "type_threshold": type_threshold, "flat": flat or None}
    asked: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if labels is not None:
        asked["labels"] = dict(labels) if isinstance(labels, Mapping) else list(labels)
    return {"texts": list(texts), **asked}


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return "the service gave no reason"
