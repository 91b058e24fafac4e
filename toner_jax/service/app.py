"""The service over HTTP: what is asked at which path, and how that fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from toner_jax import __version__
from toner_jax.api import Ner
from toner_jax.common.cli import did_you_mean
from toner_jax.errors import UserError
from toner_jax.inference.labels import read_labels
from toner_jax.service import messages
from toner_jax.service.answers import DEFECT, Refused, as_json, lines, predictions
from toner_jax.service.batching import Batcher, ClosedError, FullError
from toner_jax.service.guard import Guard
from toner_jax.service.limits import Limits
from toner_jax.service.metrics import Metrics
from toner_jax.service.page import PATHS, file
from toner_jax.service.requests import Answer, Cosines, Question, Tell, Wanted
from toner_jax.service.requests import Request as Waiting
from toner_jax.tasks.explanations import Explanations

_FAILURES: dict[int | str, dict[str, Any]] = {
    status: {"model": messages.Failure, "description": what}
    for status, what in {
        400: "The body cannot be read.",
        401: "The token is missing, or another.",
        408: "The body came too slowly.",
        413: "The body is larger, or has more, than the service takes.",
        422: "What is asked for means nothing.",
        429: "So many requests wait; Retry-After says when to come again.",
        503: "It took too long, or the service stops.",
    }.items()
}
Body = TypeVar("Body", bound=messages.About)
_JSON_LINES = "application/x-ndjson"
# In the words of our other messages, by pydantic's name of the error.
_WORDS = {
    "list_type": "expected a list",
    "string_type": "expected a string",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "model_type": "expected an object",
    "missing": "is missing",
}


# The most characters of a label and of its description: prompts have no room for more.
_LABEL, _DESCRIPTION = 200, 2000


class Service:
    """The application, and what it needs besides.

    Attributes:
      app: as ASGI has it.
    """

    def __init__(self, ner: Ner, batcher: Batcher, limits: Limits, *, name: str, token: str | None = None):
        """Args:
        name: of the model, as it was asked for.
        token: that requests have to bring; None for none.
        """
        self._ner, self._batcher, self._limits, self._name = ner, batcher, limits, name
        self._metrics = Metrics(batcher)
        self._guard = Guard(self._routes(), token=token, most_bytes=limits.body, seconds=limits.seconds)
        self.app = self._metrics.measured(self._guard)

    @property
    def is_draining(self) -> bool:
        """Whether it stops."""
        return self._guard.closing

    def drain(self) -> None:
        """No request should come any more: `/ready` says so, and connections are closed after their answers."""
        self._guard.closing = True

    def _routes(self) -> FastAPI:
        app = FastAPI(
            title="toner_jax",
            version=__version__,
            description="Named entities of raw texts, by types that are asked for.",
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
        )
        app.add_exception_handler(Refused, _refused)
        app.add_exception_handler(HTTPException, _http)
        app.add_exception_handler(Exception, _defect)
        for path, endpoint, body, answer in (
            ("/predict", self.predict, messages.Asked, messages.Predictions),
            ("/explain", self.explain, messages.Asked, messages.Predictions),
            ("/match_types", self.match_types, messages.About, messages.Types),
        ):
            own = {200: {"model": answer}, **_FAILURES}
            app.post(path, responses=own, openapi_extra=_body_of(body))(endpoint)
        app.get("/model", responses={401: _FAILURES[401]})(self.model)
        app.get("/health")(self.health)
        app.get("/ready", response_model=messages.Ready, responses={503: {"model": messages.Ready}})(
            self.ready
        )
        app.get("/metrics", responses={401: _FAILURES[401]}, response_class=Response)(self._metrics.page)
        app.head("/health", include_in_schema=False)(self.health)
        app.head("/ready", include_in_schema=False)(self.ready)
        for path in PATHS:
            app.get(path, include_in_schema=False)(file(path))
        return app

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(self._batcher.close)

    async def predict(self, request: Request) -> Response:
        """The entities of each text."""
        return await self._entities(request)

    async def explain(self, request: Request) -> Response:
        """As `/predict`, with an explanation of each sentence's entities (§3.5)."""
        if Explanations.name not in self._ner.tasks:
            raise Refused(422, "this model was not trained to explain (generator.explanations)")
        return await self._entities(request, explain=True)

    async def match_types(self, request: Request) -> Response:
        """The cosine of each text and label (Eq. 3), by descending value."""
        if not self._ner.matches:
            raise Refused(422, "this model was trained without type matching")
        asked = await _read(request, messages.About)
        wanted = self._wanted(asked, match=True)
        found = await self._all(request, asked.texts, wanted)
        return as_json({"types": [answer.types for answer in found if isinstance(answer, Cosines)]})

    async def model(self) -> messages.Model:
        """The model's own types and thresholds, and the limits of a request."""
        ner = self._ner
        return messages.Model(
            model=self._name,
            version=__version__,
            labels=messages.labels_of(ner.schema),
            threshold=ner.config.decode.threshold,
            type_threshold=ner.type_threshold,
            matches=ner.matches,
            explains=Explanations.name in ner.tasks,
            limits=asdict(self._limits),
            note=ner.note,
        )

    async def health(self) -> messages.Health:
        """Whether the process lives."""
        return messages.Health(status="ok")

    async def ready(self) -> Response:
        """Whether requests should come: all programs are compiled, and the service does not stop."""
        b = self._batcher
        ready = b.is_prepared and not self.is_draining
        return as_json(
            {"ready": ready, "prepared": b.prepared, "programs": b.programs}, status=200 if ready else 503
        )

    async def _entities(self, request: Request, explain: bool = False) -> Response:
        asked = await _read(request, messages.Asked)
        wanted = self._wanted(asked, explain=explain)
        if asked.stream:
            answers = self._answers(asked.texts, wanted)
            first = await anext(answers, None)  # what is refused is refused before the answer begins
            return StreamingResponse(lines(first, answers, explain), media_type=_JSON_LINES)
        found = await self._all(request, asked.texts, wanted)
        return as_json({"predictions": predictions(len(asked.texts), found, explain)})

    def _wanted(self, asked: messages.About, *, explain: bool = False, match: bool = False) -> Wanted:
        """What is asked, of a request that keeps to the limits.

        Raises:
          Refused: it does not, or its labels mean nothing.
        """
        limits, ner = self._limits, self._ner
        for what, given, most in (
            ("texts", asked.texts, limits.texts),
            ("labels", asked.labels or (), limits.labels),
        ):
            if len(given) > most:
                raise Refused(413, f"{len(given):,} {what}; at most {most:,} are taken at a time")
        names = list(asked.labels or ())
        meanings = list(asked.labels.values()) if isinstance(asked.labels, dict) else []
        for what, texts, longest in (("label", names, _LABEL), ("description", meanings, _DESCRIPTION)):
            if any(len(text or "") > longest for text in texts):
                raise Refused(413, f"a {what} has more than {longest:,} characters")
        try:
            labels = read_labels(ner.schema if asked.labels is None else asked.labels, ner.schema)
        except UserError as error:
            raise Refused(422, str(error)) from None
        delta, threshold, flat = None, ner.config.decode.threshold, False
        if isinstance(asked, messages.Asked):
            delta, flat = asked.type_threshold, asked.flat
            threshold = threshold if asked.threshold is None else asked.threshold
        return Wanted(labels, Question(labels.schema, delta, explain, match), threshold, flat)

    async def _all(self, request: Request, texts: Sequence[str], wanted: Wanted) -> list[Answer]:
        """All answers of a request, unless the client goes away meanwhile.

        Raises:
          Refused: as `_answers`.
        """
        loop, found = asyncio.get_running_loop(), list[Answer]()
        ended: asyncio.Future[BaseException | None] = loop.create_future()

        def tell(answers: Sequence[Answer] | BaseException | None) -> None:
            if isinstance(answers, Sequence):
                found.extend(answers)
            else:
                loop.call_soon_threadsafe(_settle, ended, answers)

        waiting, gone = self._submit(texts, wanted, tell), asyncio.ensure_future(_disconnected(request))
        try:
            await asyncio.wait(
                (ended, gone), timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED
            )
            if not ended.done():
                raise Refused(400, "the client went away") if gone.done() else self._too_slow()
            if error := ended.result():
                raise _refusal(error)
            return found
        finally:
            waiting.cancelled = True
            gone.cancel()

    async def _answers(self, texts: Sequence[str], wanted: Wanted) -> AsyncIterator[Answer]:
        """The answers of the models, as they come.

        Raises:
          Refused: there is no room, it takes too long, or the models cannot answer.
        """
        loop, told = asyncio.get_running_loop(), asyncio.Queue[Any]()

        def tell(answers: Sequence[Answer] | BaseException | None) -> None:
            loop.call_soon_threadsafe(told.put_nowait, answers)

        waiting = self._submit(texts, wanted, tell)
        until = time.monotonic() + self._limits.seconds
        try:
            while True:
                async with asyncio.timeout(until - time.monotonic()):
                    answers = await told.get()
                if isinstance(answers, BaseException):
                    raise _refusal(answers)
                if answers is None:
                    return
                for answer in answers:
                    yield answer
        except TimeoutError:
            raise self._too_slow() from None
        finally:
            waiting.cancelled = True

    def _submit(self, texts: Sequence[str], wanted: Wanted, tell: Tell) -> Waiting:
        try:
            return self._batcher.submit(texts, wanted, tell)
        except FullError:
            raise Refused(429, "too many requests wait; come again in a second", Retry_After="1") from None
        except ClosedError:
            raise Refused(503, "the service stops", Retry_After="1") from None

    def _too_slow(self) -> Refused:
        seconds = self._limits.seconds
        return Refused(503, f"it took more than {seconds:g} s; send less at a time")


def _settle(ended: asyncio.Future[BaseException | None], error: BaseException | None) -> None:
    if not ended.done():  # nobody waits for one that was cancelled
        ended.set_result(error)


def _refusal(error: BaseException) -> Refused:
    """What a request is told that failed."""
    return Refused(422, str(error)) if isinstance(error, UserError) else Refused(500, DEFECT)


async def _read(request: Request, kind: type[Body]) -> Body:
    """What a request's body asks.

    Raises:
      Refused: it means nothing; why is said without what was given, which may be a text.
    """
    body = await request.body()
    if not body.strip():
        raise Refused(422, 'the body is empty; expected an object, as {"texts": ["Ivan slept."]}')
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        at = ".".join(str(part).encode(errors="replace").decode() for part in first["loc"])
        if first["type"] == "extra_forbidden":
            known = list(kind.model_fields)
            raise Refused(
                422, f"{at}: no such key{did_you_mean(at, known)}; there are {', '.join(known)}"
            ) from None
        message = _WORDS.get(first["type"], first["msg"].removeprefix("Value error, "))
        raise Refused(422, f"{at}: {message}" if at else message) from None


def _body_of(kind: type[messages.About]) -> dict[str, Any]:
    """What OpenAPI says of a body."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _disconnected(request: Request) -> None:
    """Returns once the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error.response()


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    use = f"; use {headers['Allow']}" if "Allow" in headers else ""
    return as_json({"error": f"{error.detail}{use}"}, error.status_code, headers)


async def _defect(_: Request, error: Exception) -> Response:
    return as_json({"error": DEFECT}, 500)
