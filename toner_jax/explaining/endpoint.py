"""A chat endpoint that speaks OpenAI's protocol, asked until it answers."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toner_jax.errors import UserError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0  # seconds between attempts: doubled each time
LATER_NAME = "max_completion_tokens"  # what endpoints call `max_tokens` that refuse it
_TRIED_AGAIN = {408, 409, 425, 429}  # and everything from 500 on
# What no other sentence would get a better answer to.
_FATAL = {401: "the key is refused", 403: "the key may not do this", 404: "no such address or model"}


class Unanswered(Exception):
    """A question without an answer, after all attempts or by the endpoint's own word."""


@dataclass(frozen=True)
class Reply:
    """An answer, and what it took; `cut`: it came to the most tokens that it may have."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cut: bool = False


def connect(base_url: str | None, timeout: float) -> AsyncOpenAI:
    """A client whose key is in OPENAI_API_KEY; one of one's own machine often needs none.

    Raises:
      UserError: the `openai` package or the key is missing.
    """
    try:
        from openai import AsyncOpenAI
    except ImportError:
        raise UserError("asking needs the openai package; pip install 'toner_jax[explain]'") from None
    base_url = base_url or os.environ.get("OPENAI_BASE_URL") or None
    key = os.environ.get("OPENAI_API_KEY") or ("none" if base_url else "")
    if not key:
        raise UserError("no key: set OPENAI_API_KEY, or the base URL of an endpoint that needs none")
    # It would try again by itself, without a look at the limits.
    return AsyncOpenAI(api_key=key, base_url=base_url, timeout=timeout, max_retries=0)


class Chat:
    """Chat completions of a client."""

    def __init__(self, client: AsyncOpenAI):
        self._client = client
        self._name = "max_tokens"

    async def ask(
        self, request: Mapping[str, Any], attempts: int, allowed: Callable[[], Awaitable[None]]
    ) -> Reply:
        """The answer to a request.

        Args:
          attempts: how often it is asked, with longer and longer waits between, or as the endpoint says.
          allowed: returns when a request may be sent.

        Raises:
          Unanswered: no attempt was answered, or it is the request that is refused.
          UserError: no request would be answered.
        """
        why = ""
        for attempt in range(1, attempts + 1):
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)
            await allowed()
            named = with_limit_called(self._name, request)
            try:
                return reply_of(await self._client.chat.completions.create(**named))
            except (
                Exception
            ) as error:  # the client and its transport raise many kinds: what is no answer is one
                if LATER_NAME in str(error) and LATER_NAME not in named:
                    self._name = LATER_NAME
                    continue
                why, wanted = _failure(error)
            if attempt < attempts:
                await asyncio.sleep(wait if wanted is None else wanted)
        raise Unanswered(f"{why}, {attempts} times")


def with_limit_called(name: str, request: Mapping[str, Any]) -> dict[str, Any]:
    """A request whose `max_tokens` has another name."""
    return {name if key == "max_tokens" else key: value for key, value in request.items()}


def reply_of(completion: Any) -> Reply:
    """Raises: ValueError: it is no completion, or one without a text."""
    choices = getattr(completion, "choices", None)
    if not choices or not getattr(choices[0], "message", None):
        raise ValueError("no chat completion")
    text, usage = choices[0].message.content, completion.usage
    cut = choices[0].finish_reason == "length"
    if not cut and (not text or not text.strip()):
        raise ValueError("an empty answer")
    return Reply(
        text or "", usage.prompt_tokens if usage else 0, usage.completion_tokens if usage else 0, cut
    )


def _failure(error: Exception) -> tuple[str, float | None]:
    """What went wrong, and how long the endpoint wants to be left alone, in seconds.

    Raises:
      Unanswered, UserError: asking again is of no use.
    """
    import openai

    if isinstance(error, Unanswered):
        raise error
    if isinstance(error, openai.APIStatusError):
        status, reason = error.status_code, " ".join(error.message.split())[:200]
        if status in _FATAL:
            raise UserError(f"the endpoint answers {status}, {_FATAL[status]}: {reason}") from error
        if status not in _TRIED_AGAIN and status < 500:
            raise Unanswered(f"refused by the endpoint with {status}: {reason}") from error
        return f"status {status}", _seconds(error.response.headers.get("retry-after"))
    if isinstance(error, openai.APITimeoutError):
        return "no answer in time", None
    if isinstance(error, openai.APIConnectionError):
        return f"no connection ({error.__cause__ or error})", None
    if isinstance(error, openai.APIError | ValueError | TypeError | AttributeError):
        return f"an answer that cannot be read ({str(error)[:100]})", None
    raise error


def _seconds(text: str | None) -> float | None:
    try:
        return None if text is None else min(_LONGEST_WAIT, max(0.0, float(text)))
    except ValueError:
        return None  # a date, which few send
