"""`toner-jax serve`: a model as a service, and its page."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from pathlib import Path

from toner_jax.commands.model_flags import add_model, load
from toner_jax.common import cli
from toner_jax.common.console import warn
from toner_jax.errors import UserError
from toner_jax.service.limits import Limits

TOKEN = "TONER_JAX_TOKEN"  # the environment variable
_MB = 1 << 20
_LOOPBACK = ("127.", "localhost", "::1")


def main(arguments: Sequence[str]) -> int:
    """Runs the command: until SIGTERM or Ctrl-C.

    Raises:
      UserError: bad input, an address that is taken, or packages of the extra `serve` that are not installed.
    """
    options = _read(arguments)
    token = _token(options.token_file)
    try:
        from toner_jax.service.app import Service
        from toner_jax.service.server import bound, serve
    except ModuleNotFoundError as error:
        raise UserError(f"serve needs the package {error.name}: pip install 'toner-jax[serve]'") from None
    from toner_jax.parallel.runtime import set_up_compilation
    from toner_jax.service.batching import Batcher

    set_up_compilation()
    listening = bound(options.host, options.port)  # told before a model is loaded for nothing
    if token is None and not options.host.startswith(_LOOPBACK):
        warn(f"anyone who reaches {options.host} may ask: set {TOKEN} or --token_file to want a token")
    limits = Limits(
        int(options.max_body * _MB),
        options.max_texts,
        options.max_labels,
        options.max_waiting,
        options.timeout,
    )
    ner = load(options)
    batcher = Batcher(ner, most_waiting=limits.waiting, prepare=not options.no_prepare)
    service = Service(ner, batcher, limits, name=options.model, token=token)
    serve(service, listening, drain=options.drain, seconds=limits.seconds)
    cli.end_at_once()  # whatever a thread compiles
    return cli.OK


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = cli.Parser("serve", "Answers requests for the entities of texts.", _more, takes_keys=True)
    add_model(parser)
    parser.add_argument(
        "--host", type=cli.some, default="127.0.0.1",
        help="the address to listen at; 127.0.0.1 (default) is this machine's own, 0.0.0.0 any",
    )  # fmt: skip
    parser.add_argument(
        "--port", type=_port, default=8000, help="the port to listen at; 0 for one that is free"
    )
    parser.add_argument(
        "--token_file", type=cli.path, metavar="FILE",
        help=f"a file with the token that requests have to bring; {TOKEN} of the environment does the same",
    )  # fmt: skip
    _add_limits(parser)
    parser.add_argument(
        "--no-prepare", action="store_true",
        help="compile each program when a text first needs it, rather than all of them while nobody asks",
    )  # fmt: skip
    return parser.read(arguments)


def _add_limits(parser: cli.Parser) -> None:
    parser.add_argument(
        "--max_body", type=_above_zero, default=Limits.body / _MB, metavar="MB", help="the largest request"
    )
    parser.add_argument(
        "--max_texts", type=cli.positive, default=Limits.texts, help="the most texts of a request"
    )
    parser.add_argument(
        "--max_labels", type=cli.positive, default=Limits.labels, help="the most labels of a request"
    )
    parser.add_argument(
        "--max_waiting", type=cli.positive, default=Limits.waiting,
        help="the most requests that wait at a time; another one is told to come again",
    )  # fmt: skip
    parser.add_argument(
        "--timeout",
        type=_above_zero,
        default=Limits.seconds,
        metavar="SECONDS",
        help="the longest that a request may take",
    )
    parser.add_argument(
        "--drain", type=_not_negative, default=0.0, metavar="SECONDS",
        help="after SIGTERM, so long /ready says no while requests are still taken: for a load balancer to notice",
    )  # fmt: skip


def _above_zero(text: str) -> float:
    value = _not_negative(text)
    if value == 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _not_negative(text: str) -> float:
    value = cli.number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number that is not negative, not {text}")
    return value


def _port(text: str) -> int:
    value = cli.whole_number(text)
    if not 0 <= value < 1 << 16:
        raise argparse.ArgumentTypeError(f"a port lies between 0 and 65535, not {value}")
    return value


def _token(file: Path | None) -> str | None:
    """The token, of the file or of the environment; None without either.

    Raises:
      UserError: the file cannot be read, or the token is empty or has white space in it.
    """
    if file is None:
        token, source = os.environ.get(TOKEN), TOKEN
    else:
        source = str(file)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise UserError(f"--token_file={file}: cannot be read ({reason})") from None
    if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
        raise UserError(f"{source}: expected a token of visible ASCII characters without spaces")
    return token


def _more() -> str:
    return (
        "The page is at /, and what can be asked at /openapi.json: /predict, /match_types, /explain, /model, /health,\n"
        "/ready and /metrics (of Prometheus). --config.KEY=VALUE sets another value than the run's, as for evaluate.\n"
        "No text is logged or kept. The packages are those of the extra serve: pip install 'toner-jax[serve]'."
    )
