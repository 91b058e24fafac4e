"""What requests are told, as JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

from fastapi import Response

from toner_jax.inference.predicted import Part
from toner_jax.service.requests import Answer, coverage_of

DEFECT = "a defect of the service; its log says where"


class Refused(Exception):
    """A request that is not answered: the status, and why, in one line."""

    def __init__(self, status: int, reason: str, **headers: str):
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> Response:
        """What the client is told."""
        return as_json({"error": self.reason}, self.status, self.headers)


def predictions(count: int, parts: Sequence[Answer], explain: bool) -> list[dict[str, Any]]:
    """Of each text, what was found in its sentences."""
    by_text: list[list[Part]] = [[] for _ in range(count)]
    for part in parts:
        assert isinstance(part, Part)
        by_text[part.text].append(part)
    out = []
    for own in by_text:
        said = {"entities": [e for p in own for e in p.entities], "info": coverage_of(own).to_json()}
        out.append({**said, "explanation": "\n".join(p.explanation for p in own)} if explain else said)
    return out


async def lines(first: Answer | None, others: AsyncIterator[Answer], explain: bool) -> AsyncIterator[bytes]:
    """Each sentence's answer as a line; the last one says why, where they end early."""
    try:
        answer = first
        while answer is not None:
            assert isinstance(answer, Part)
            said = {"text": answer.text, "last": answer.is_last, "entities": answer.entities}
            said["info"] = answer.coverage.to_json()
            yield encoded({**said, "explanation": answer.explanation} if explain else said) + b"\n"
            answer = await anext(others, None)
    except Refused as refused:
        yield encoded({"error": refused.reason}) + b"\n"


def encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(encoded(value), status, headers, "application/json")
