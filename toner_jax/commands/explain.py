"""`toner-jax explain`: explanations of a data set's training entities, by a language model (§3.5)."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from toner_jax.commands import config_file
from toner_jax.common import cli
from toner_jax.common.console import say, show
from toner_jax.errors import UserError

if TYPE_CHECKING:
    from toner_jax.explaining.ledger import Ledger
    from toner_jax.explaining.limits import Prices
    from toner_jax.explaining.question import Question

_SHOWN = 2  # prompts of a dry run


def main(arguments: Sequence[str]) -> int:
    """Runs the command. Returns 0, or 1 if sentences are left without an explanation.

    Raises:
      UserError: bad input, or an endpoint that answers nobody.
      Ended: Ctrl-C or SIGTERM; what was answered stays written.
    """
    options = _read(arguments)
    if options.max_cost is not None and options.price is None:
        raise UserError("--max_cost needs --price=PROMPT,ANSWER of a million tokens")
    questions = _questions(options)
    from toner_jax.explaining.ledger import opened

    with opened(options.output, changes_nothing=options.dry_run) as ledger:
        left = _left(questions, ledger, again=options.again)[: options.limit]
        if options.dry_run:
            _describe(left, options.price)
            return cli.OK
        return _run(options, questions, left, ledger)


def _questions(options: argparse.Namespace) -> list[Question]:
    """A question for each training sentence with entities."""
    from toner_jax.data.load import load_dataset
    from toner_jax.data.options import DataOptions
    from toner_jax.explaining.question import Question

    config = config_file.load(options.config, options.keys).config
    dataset = load_dataset(DataOptions.from_section(config.data), ("train",))
    train = dataset.splits["train"]
    found = [Question(s, dataset.schema, options.model, options.max_tokens) for s in train if s.entities]
    say(f"train: {len(train):,} sentences, {len(found):,} with entities; the others have a fixed explanation")
    return found


def _left(questions: Sequence[Question], ledger: Ledger, *, again: bool) -> list[Question]:
    """The questions without an answer, said how many there are; `again`: those whose answer was refused, too."""
    missing = [q for q in questions if not ledger.has(q)]
    left = [q for q in missing if again or not ledger.is_refused(q)]
    refused = (
        f", {len(missing) - len(left):,} refused ({ledger.refused_path})" if len(missing) > len(left) else ""
    )
    if len(missing) < len(questions):
        say(f"{ledger.path}: {len(questions) - len(missing):,} explained{refused}")
    return left


def _describe(left: Sequence[Question], prices: Prices | None) -> None:
    asked = list({q.key: q for q in left}.values())
    prompt, answer = sum(q.prompt_tokens for q in asked), sum(q.max_tokens for q in asked)
    cost = (
        f", {prices.of(prompt, answer):.2f} at most" if prices else "; --price=PROMPT,ANSWER tells the cost"
    )
    for question in asked[:_SHOWN]:
        for message in question.request["messages"]:
            show(f"[{message['role']}]", *message["content"].split("\n"))
        show("")
    show(
        f"{len(asked):,} requests for {len(left):,} sentences; about {prompt:,} tokens of prompts, at most {answer:,} "
        f"of answers{cost}"
    )


def _run(
    options: argparse.Namespace, questions: Sequence[Question], left: Sequence[Question], ledger: Ledger
) -> int:
    from toner_jax.explaining import batches
    from toner_jax.explaining.asking import Asker, Limits
    from toner_jax.explaining.endpoint import connect

    async def work() -> Counter[str]:
        async with connect(options.base_url, options.timeout) as client:
            if options.batch == "submit":
                await batches.submit(client, left, options.output)
            elif options.batch == "poll":
                return Counter({"in a batch": 0 if await batches.poll(client, options.output) else 1})
            elif options.batch == "collect":
                found = await batches.collect(client, questions, ledger, options.price, options.output)
                return found.counts
            else:
                asker = Asker(
                    client,
                    ledger,
                    Limits(
                        options.concurrency, options.attempts, options.requests_per_minute,
                        options.tokens_per_minute, options.price, options.max_cost,
                    ),
                )  # fmt: skip
                await asker.run(left)
                if asker.outcome.last_failure:
                    say(f"the last failure: {asker.outcome.last_failure}")
                return asker.outcome.counts
        return Counter()

    counts = _until_done(work())
    told = ", ".join(f"{n:,} {reason}" for reason, n in counts.items())
    cost = f"; cost {ledger.cost:.2f} in all" if options.price else ""
    show(f"{ledger.path}: {told or 'nothing asked'}{cost}")
    return cli.OK if sum(counts.values()) == counts["written"] else 1


def _until_done(work: Coroutine[Any, Any, Counter[str]]) -> Counter[str]:
    """What it returns.

    Raises:
      UserError, OSError: as it does; of several at a time the first.
      Ended: Ctrl-C or SIGTERM.
    """

    async def cancellable() -> Counter[str]:
        task = asyncio.ensure_future(work)
        with suppress(NotImplementedError):  # on Windows
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        try:
            return await task
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    again = "what was answered is written; the same command goes on"
    try:
        return asyncio.run(cancellable())
    except KeyboardInterrupt:
        raise cli.Ended(cli.INTERRUPTED, f"interrupted; {again}") from None
    except asyncio.CancelledError:
        raise cli.Ended(cli.PREEMPTED, f"stopped by SIGTERM; {again}") from None


def _price(text: str) -> Prices:
    from toner_jax.explaining.limits import Prices

    found = [cli.number(word) for word in cli.words(text)]
    if len(found) != 2 or min(found) < 0:
        raise argparse.ArgumentTypeError(
            "give two prices of a million tokens, of prompts and of answers, as 2.5,10"
        )
    return Prices(*found)


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser(
        "explain",
        "Asks a language model to explain the entities of each training sentence, for generator.explanations. Any "
        "endpoint that speaks OpenAI's protocol will do; its key is in OPENAI_API_KEY. The same command, given again, "
        "asks for what is left.",
        lambda: "--config.KEY=VALUE as for train: --config.data.dir=DIR, where the data are.",
        takes_keys=True,
    )
    parser.add_argument(
        "--config", type=cli.some, required=True, metavar="NAME[:VARIANT]", help="as for train, or a file"
    )
    parser.add_argument(
        "--output",
        type=cli.output,
        required=True,
        metavar="FILE",
        help="JSON lines, to which answers are added",
    )
    parser.add_argument("--model", type=cli.some, required=True, help="as the endpoint calls it")
    parser.add_argument(
        "--base_url", type=cli.some, metavar="URL", help="of the endpoint, as http://localhost:8000/v1"
    )
    parser.add_argument("--limit", type=cli.positive, help="ask about so many sentences at most")
    parser.add_argument(
        "--dry_run", action="store_true", help="show prompts and an estimate, and ask nothing"
    )
    parser.add_argument(
        "--batch", type=cli.one_of("submit", "poll", "collect"), metavar="STEP",
        help="ask by the endpoint's batches: submit, poll, collect",
    )  # fmt: skip
    parser.add_argument("--again", action="store_true", help="ask again for what was refused")
    _add_limits(parser)
    config_file.add_no_cache(parser)
    return parser.read(arguments)


def _add_limits(parser: cli.Parser) -> None:
    """The flags of how fast and for how much is asked."""
    parser.add_argument(
        "--concurrency", type=cli.positive, default=8, help="requests at a time; 8 by default"
    )
    parser.add_argument(
        "--requests_per_minute",
        type=cli.positive,
        default=0,
        metavar="N",
        help="at most; no limit by default",
    )
    parser.add_argument(
        "--tokens_per_minute",
        type=cli.positive,
        default=0,
        metavar="N",
        help="at most, prompts and answers together",
    )
    parser.add_argument(
        "--max_tokens", type=cli.positive, default=500, metavar="N", help="of an answer; 500 by default"
    )
    parser.add_argument(
        "--attempts",
        type=cli.positive,
        default=6,
        metavar="N",
        help="of a request that gets no answer; 6 by default",
    )
    parser.add_argument(
        "--timeout", type=cli.number, default=120.0, metavar="SECONDS", help="of a request; 120 by default"
    )
    parser.add_argument(
        "--price", type=_price, metavar="PROMPT,ANSWER", help="of a million tokens, as 2.5,10"
    )
    parser.add_argument(
        "--max_cost", type=cli.number, metavar="COST", help="of all starts together, in the unit of --price"
    )
