"""A local endpoint that speaks OpenAI's protocol and fails on purpose: it answers late, too often, not at all, with
rubbish, with errors, and with explanations that contradict what was asked."""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

FAILURES = ("500", "429", "garbage", "html", "empty", "stall", "close", "malformed")


class Endpoint:
    """What it was asked and what it answered.

    Attributes:
      fail: the share of requests that fail, in a way drawn anew each time.
      cut, later_name: prompts whose answer is cut; whether `max_tokens` is refused for `max_completion_tokens`.
      contradict: prompts are answered wrongly whose checksum this divides; 0 for none.
      seen, answered: how often each prompt came, and how often it was answered usably.
      times: of the requests.
      most: of requests at a time.
    """

    def __init__(
        self, fail: float = 0.0, contradict: int = 0, wait: float = 0.0, status: int = 0, *, cut: int = 0,
        later_name: bool = False,
    ):  # fmt: skip
        self.fail, self.contradict, self.wait, self.status = fail, contradict, wait, status
        self.cut, self.later_name = cut, later_name
        self.rng, self.lock = random.Random(0), threading.Lock()
        self.seen: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.times: list[float] = []
        self.now = self.most = 0
        self.files: dict[str, str] = {}
        self.batches: dict[str, dict[str, Any]] = {}

    def contradicts(self, prompt: str) -> bool:
        return bool(self.contradict) and crc32(prompt.encode()) % self.contradict == 0

    def completion(self, body: dict[str, Any], malformed: bool = False) -> dict[str, Any]:
        prompt = body["messages"][-1]["content"]
        line = next(row for row in prompt.split("\n") if row.startswith("Entity: "))
        if self.contradicts(prompt):
            line = "Entity: [(nothing, such)]"
        finish = "length" if self.cut and crc32(prompt.encode()) % self.cut == 0 else "stop"
        text = (
            "I would rather not."
            if malformed
            else f"{line}\nExplanation: because of {crc32(prompt.encode())}."
        )
        return {
            "id": "c", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text}}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        end = self.server.endpoint
        name = self.path.split("?")[0].removeprefix("/v1/")
        if name == "batches":
            self._json({"object": "list", "data": list(end.batches.values()), "has_more": False})
        elif name.startswith("batches/"):
            self._json(end.batches[name.removeprefix("batches/")])
        else:
            self._send(200, "application/jsonl", end.files[name.split("/")[1]])

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/files":
            return self._file(content)
        if self.path == "/v1/batches":
            return self._batch(json.loads(content))
        end, body = self.server.endpoint, json.loads(content)
        prompt = body["messages"][-1]["content"]
        with end.lock:
            end.seen[prompt] += 1
            end.times.append(time.monotonic())
            end.now += 1
            end.most = max(end.most, end.now)
            failure = end.rng.choice(FAILURES) if end.rng.random() < end.fail else ""
            end.failures[failure] += bool(failure)
        try:
            time.sleep(end.wait)
            self._answer(body, prompt, failure)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the asker is gone
        finally:
            with end.lock:
                end.now -= 1

    def _answer(self, body: dict[str, Any], prompt: str, failure: str) -> None:
        end = self.server.endpoint
        if end.later_name and "max_tokens" in body:
            message = "Unsupported parameter: use 'max_completion_tokens' instead."
            self._send(400, "application/json", json.dumps({"error": {"message": message}}))
        elif end.status:
            self._send(end.status, "application/json", json.dumps({"error": {"message": "no"}}))
        elif failure in ("500", "429"):
            self._send(
                int(failure), "application/json", "{}", {"Retry-After": "0.05"} if failure == "429" else {}
            )
        elif failure == "garbage":
            self._send(200, "application/json", '{"choices": [{"mess')
        elif failure == "html":
            self._send(200, "text/html", "<h1>Welcome</h1>")
        elif failure == "empty":
            self._json({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": []})
        elif failure == "stall":
            time.sleep(1.5)
            self.close_connection = True
        elif failure == "close":
            self.close_connection = True
        else:
            if not failure:
                with end.lock:
                    end.answered[prompt] += 1
            self._json(end.completion(body, malformed=failure == "malformed"))

    def _file(self, content: bytes) -> None:
        end = self.server.endpoint
        boundary = content.split(b"\r\n", 1)[0]
        part = next(p for p in content.split(boundary) if b'name="file"' in p)
        name = f"file-{len(end.files)}"
        end.files[name] = part.split(b"\r\n\r\n", 1)[1].rstrip(b"\r\n").decode()
        self._json({"id": name, "object": "file", "bytes": 1, "created_at": 1, "filename": "q", "purpose": "batch",
                    "status": "processed"})  # fmt: skip

    def _batch(self, body: dict[str, Any]) -> None:
        end = self.server.endpoint
        name = f"batch-{len(end.batches)}"
        end.batches[name] = {
            "id": name, "object": "batch", "created_at": 1, "status": "in_progress", "output_file_id": None, **body,
        }  # fmt: skip
        self._json(end.batches[name])

    def _json(self, value: Any) -> None:
        self._send(200, "application/json", json.dumps(value))

    def _send(self, status: int, kind: str, text: str, headers: dict[str, str] | None = None) -> None:
        data = text.encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def answer_batches(end: Endpoint, leave_out: int = 0) -> None:
    """Completes all batches; the first requests of each fail."""
    for name, batch in end.batches.items():
        rows = [json.loads(line) for line in end.files[batch["input_file_id"]].splitlines()]
        lines = []
        for i, row in enumerate(rows):
            failed = i < leave_out
            response = {
                "status_code": 500 if failed else 200,
                "body": {} if failed else end.completion(row["body"]),
            }
            lines.append(json.dumps({"custom_id": row["custom_id"], "response": response, "error": None}))
        end.files[f"out-{name}"] = "\n".join(lines)
        batch.update(status="completed", output_file_id=f"out-{name}")


@contextmanager
def serving(end: Endpoint):
    """The address of the endpoint, as long as it is served."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # who is killed hangs up
    server.endpoint = end  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
