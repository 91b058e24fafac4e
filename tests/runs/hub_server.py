"""A stand-in for the Hugging Face hub: what huggingface_hub asks of it to make a model, to commit and to download."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_of_the_test"


class Hub(ThreadingHTTPServer):
    """At `url`; `models` holds, by id, {"private", "branches": name → commit}, `commits` by hash, name → bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.models: dict[str, dict[str, Any]] = {}
        self.commits: dict[str, dict[str, bytes]] = {}
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def commit(self, model: str, branch: str, files: dict[str, bytes]) -> str:
        of_branch = self.models[model]["branches"]
        whole = {**self.commits[of_branch[branch]], **files}
        digest = hashlib.sha1(
            repr(sorted((k, hashlib.sha1(v).hexdigest()) for k, v in whole.items())).encode()
        )
        self.commits[digest.hexdigest()] = whole
        of_branch[branch] = digest.hexdigest()
        return digest.hexdigest()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _fail(self, status: int, message: str, code: str = "") -> None:
        self._answer(status, {"error": message}, {"X-Error-Message": message, "X-Error-Code": code})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(f"POST {self.path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._fail(401, "Invalid username or password.")
        if self.path == "/api/validate-yaml":
            return self._answer(200, {"errors": [], "warnings": []})
        if self.path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/branch/(.+)", self.path):
            branches = self.server.models[found[1]]["branches"]
            branches.setdefault(found[2], branches["main"])
            return self._answer(200, {})
        if re.fullmatch(r"/api/models/[\w.-]+/[\w.-]+/preupload/.+", self.path):
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
            return self._answer(200, {"files": modes})
        if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/commit/(.+)", self.path):
            return self._commit(found[1], found[2], body)
        return self._fail(404, f"no {self.path}")

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted.get('organization') or 'ann'}/{wanted['name']}"
        if name in self.server.models:
            return self._fail(409, "You already created this model repo")
        self.server.commits.setdefault("0" * 40, {})
        private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
        self.server.models[name] = {"private": private, "branches": {"main": "0" * 40}}
        return self._answer(200, {"url": f"{self.server.url}/{name}"})

    def _commit(self, model: str, branch: str, body: bytes) -> None:
        lines = [json.loads(line) for line in body.splitlines() if line.strip()]
        files = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"])
            for line in lines
            if line["key"] == "file"
        }
        digest = self.server.commit(model, branch, files)
        url = f"{self.server.url}/{model}/commit/{digest}"
        self._answer(200, {"success": True, "commitUrl": url, "commitOid": digest, "hookOutput": ""})

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        path = self.path.partition("?")[0]
        if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(?:/revision/(.+))?", path):
            return self._info(found[1], found[2] or "main")
        if found := re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)/tree/([^/]+)(?:/.*)?", path):
            return self._tree(found[1], found[2])
        if found := re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path):
            return self._file(*found.groups())
        return self._fail(404, f"no {path}")

    def _find(self, model: str, revision: str) -> str | None:
        """The hash of a revision; None, and a failure is answered, where there is none."""
        if model not in self.server.models:
            self._fail(404, "Repository Not Found", "RepoNotFound")
            return None
        digest = self.server.models[model]["branches"].get(revision, revision)
        if digest not in self.server.commits:
            self._fail(404, f"Invalid rev id: {revision}", "RevisionNotFound")
            return None
        return digest

    def _info(self, model: str, revision: str) -> None:
        if digest := self._find(model, revision):
            names = [{"rfilename": name} for name in self.server.commits[digest]]
            self._answer(200, {"id": model, "modelId": model, "sha": digest, "siblings": names, "tags": []})

    def _tree(self, model: str, revision: str) -> None:
        if digest := self._find(model, revision):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.server.commits[digest].items()
            ]
            self._answer(200, entries)

    def _file(self, model: str, revision: str, name: str) -> None:
        if digest := self._find(model, revision):
            data = self.server.commits[digest].get(name)
            if data is None:
                return self._fail(404, "Entry not found", "EntryNotFound")
            etag = f'"{hashlib.sha1(data).hexdigest()}"'
            headers = {"ETag": etag, "X-Repo-Commit": digest, "Content-Type": "application/octet-stream"}
            self._answer(200, data, headers)
        return None
