"""The endpoint's batches: all questions in a file, answered within a day, where they are offered for half the price."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toner_jax.common.console import say
from toner_jax.common.files import write_atomically
from toner_jax.errors import UserError
from toner_jax.explaining.asking import Outcome, Used, take
from toner_jax.explaining.endpoint import LATER_NAME, Reply, reply_of, with_limit_called
from toner_jax.explaining.ledger import Ledger
from toner_jax.explaining.limits import Prices
from toner_jax.explaining.question import Question

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_MARK = "toner_jax"  # of our batches among others of the same key, with a digest of what was asked
_OVER = {"completed", "failed", "expired", "cancelled"}
_LARGEST = 50_000  # requests of a batch


def state_path(output: Path) -> Path:
    """Where the batches of a file of explanations are remembered."""
    return output.with_name(f"{output.stem}.batches.json")


async def submit(client: AsyncOpenAI, questions: Sequence[Question], output: Path) -> None:
    """Sends what is neither recorded nor sent yet.

    A batch that was sent by a start that died before it could remember it is found again by its mark.
    """
    state = _read(output)
    pending = {key for keys in state.values() for key in keys}
    left = list({q.key: q for q in questions if q.key not in pending}.values())
    if not left:
        say("nothing to submit: all that is not explained yet is in a batch, collect it")
    for begin in range(0, len(left), _LARGEST):
        part = left[begin : begin + _LARGEST]
        lines = [
            json.dumps(
                {"custom_id": q.key, "method": "POST", "url": "/v1/chat/completions", "body": _body(q)}
            )
            for q in part
        ]
        digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]
        batch = await _marked(client, digest)
        if batch is None:
            content = "".join(f"{line}\n" for line in lines).encode()
            file = await client.files.create(file=("questions.jsonl", content), purpose="batch")
            batch = await client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={_MARK: digest},
            )
        state[batch.id] = [q.key for q in part]
        _write(output, state)
        say(f"batch {batch.id}: {len(part):,} questions, {batch.status}")


def _body(question: Question) -> dict[str, Any]:
    """A request of a batch: a day is too long to find out that an endpoint refuses the former name of a limit."""
    return with_limit_called(LATER_NAME, question.request)


async def _marked(client: AsyncOpenAI, digest: str) -> Any:
    """The batch of these very questions that is under way, if there is one."""
    async for batch in client.batches.list():
        if (batch.metadata or {}).get(_MARK) == digest and batch.status not in _OVER:
            return batch
    return None


async def poll(client: AsyncOpenAI, output: Path) -> bool:
    """Says how far the batches are; whether all are over."""
    over = True
    for name in _known(output):
        batch = await client.batches.retrieve(name)
        counts = batch.request_counts
        done = (
            f", {counts.completed:,} of {counts.total:,} answered, {counts.failed:,} failed" if counts else ""
        )
        say(f"batch {name}: {batch.status}{done}")
        over = over and batch.status in _OVER
    return over


async def collect(
    client: AsyncOpenAI, questions: Sequence[Question], ledger: Ledger, prices: Prices | None, output: Path
) -> Outcome:
    """Writes down what the batches that are over have answered, and forgets these; what they have not answered can be
    submitted again."""
    outcome = Outcome()
    by_key: dict[str, list[Question]] = {}
    for question in questions:
        by_key.setdefault(question.key, []).append(question)
    state = _known(output)
    for name in list(state):
        batch = await client.batches.retrieve(name)
        if batch.status not in _OVER:
            outcome.counts["in a batch"] += len(state[name])
            continue
        if batch.output_file_id:
            content = await client.files.content(batch.output_file_id)
            for line in content.text.splitlines():
                _take(line, by_key, ledger, prices, outcome.counts)
        asked = [by_key[key][0] for key in state[name] if key in by_key]
        outcome.counts["unanswered"] += sum(not ledger.has(q) and not ledger.is_refused(q) for q in asked)
        del state[name]
        _write(output, state)
    return outcome


def _take(
    line: str,
    by_key: dict[str, list[Question]],
    ledger: Ledger,
    prices: Prices | None,
    counts: Counter[str],
) -> None:
    """Records one answer, of all sentences that ask the same; what is none is passed over."""
    try:
        entry = json.loads(line)
        first, *others = by_key[entry["custom_id"]]
        reply = _read_reply(entry)
    except (ValueError, KeyError, TypeError, AttributeError):
        return
    if ledger.has(first) or ledger.is_refused(first):
        return
    used = Used()
    used.add(reply, prices.of(reply.prompt_tokens, reply.completion_tokens) if prices else None)
    counts[take(ledger, first, reply, used, last=True)] += 1
    counts["written"] += sum(ledger.answered(question) for question in others)


def _read_reply(entry: dict[str, Any]) -> Reply:
    from openai.types.chat import ChatCompletion

    if entry["response"]["status_code"] != 200:
        raise ValueError(str(entry.get("error")))
    return reply_of(ChatCompletion.model_validate(entry["response"]["body"]))


def _known(output: Path) -> dict[str, list[str]]:
    state = _read(output)
    if not state:
        raise UserError(f"{state_path(output)}: no batch of {output} is known; submit one")
    return state


def _read(output: Path) -> dict[str, list[str]]:
    path = state_path(output)
    if not path.exists():
        return {}
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): [str(key) for key in keys] for name, keys in state.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); put back a copy of it") from error


def _write(output: Path, state: dict[str, list[str]]) -> None:
    write_atomically(state_path(output), json.dumps(state, indent=1) + "\n")
