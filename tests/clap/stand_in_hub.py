"""A hub on this machine: what is uploaded to it by HTTP can be fetched again, commit by commit."""

from __future__ import annotations

import base64
import hashlib
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

Files = dict[str, "bytes | Path"]
"""Name -> content, or where it lies, for files too large to hold."""


class StandInHub(http.server.ThreadingHTTPServer):
    """Repositories as commits of files, with a branch `main`.

    asked: (method, path) of every request; created: bodies of the repositories asked for; refuse:
    create none; bare: tell an absent file by its status alone, as some mirrors do.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.commits: dict[str, dict[str, Files]] = {}
        self.main: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.created: list[dict[str, Any]] = []
        self.refuse = self.bare = False

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def commit(self, repo: str, files: Files, commit: str | None = None) -> str:
        """Put files into a repository on top of what `main` holds; returns the commit."""
        whole = {**self.files(repo), **files}
        told = sorted((name, str(content)) for name, content in whole.items())
        digest = hashlib.sha1(repr(told).encode()).hexdigest()
        commit = commit or digest
        self.commits.setdefault(repo, {})[commit] = whole
        self.main[repo] = commit
        return commit

    def upload(
        self, repo: str, folder: Path, commit: str | None = None, *, linked: bool = False
    ) -> str:
        """Put a folder into a repository, byte for byte; linked: its files stay where they are."""
        paths = [path for path in folder.iterdir() if path.is_file()]
        files: Files = {path.name: path if linked else path.read_bytes() for path in paths}
        return self.commit(repo, files, commit)

    def files(self, repo: str) -> Files:
        """What `main` of a repository holds."""
        return self.commits.get(repo, {}).get(self.main.get(repo, ""), {})


class _Handler(http.server.BaseHTTPRequestHandler):
    server: StandInHub

    def do_GET(self) -> None:
        self.fetch(body=True)

    def do_HEAD(self) -> None:
        self.fetch(body=False)

    def fetch(self, *, body: bool) -> None:
        """/owner/name/resolve/revision/file, as the hub answers."""
        hub = self.server
        hub.asked.append((self.command, self.path))
        parts = self.path.strip("/").split("?")[0].split("/")
        if parts[:2] == ["api", "models"] and parts[4:5] == ["tree"]:
            return self.tree("/".join(parts[2:4]), parts[5])
        repo = "/".join(parts[:2])
        if parts[0] == "gated":
            return self.refuse(403, "GatedRepo")
        if len(parts) < 5 or parts[2] != "resolve" or repo not in hub.main:
            return self.refuse(401, "RepoNotFound")
        commit = hub.main[repo] if parts[3] == "main" else parts[3]
        if commit not in hub.commits[repo]:
            return self.refuse(404, "RevisionNotFound")
        content = hub.commits[repo][commit].get("/".join(parts[4:]))
        if content is None:
            return self.refuse(404, "" if hub.bare else "EntryNotFound", commit)
        content = _bytes(content)
        self.send_response(200)
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)
        return None

    def tree(self, repo: str, commit: str) -> None:
        """The files of a commit."""
        files = self.server.commits[repo][commit].items()
        files = [(name, _bytes(content)) for name, content in files]
        digests = {name: hashlib.sha1(content).hexdigest() for name, content in files}
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": digests[name]}
            for name, content in files
        ]
        self.answer(listed)

    def do_POST(self) -> None:
        """Uploads: create a repository, announce files, commit them."""
        hub = self.server
        hub.asked.append(("POST", self.path))
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length) if length else self.chunks()
        if self.path == "/api/repos/create":
            if hub.refuse:
                return self.answer({"error": "not yours"}, 403)
            hub.created.append(json.loads(body))
            repo = "{organization}/{name}".format(**hub.created[-1])
            return self.answer({"url": f"{hub.url}/{repo}"})
        if self.path.endswith("/preupload/main"):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False, "oid": None}
                for one in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        if self.path == "/api/validate-yaml":
            return self.answer({"errors": [], "warnings": []})
        if "/commit/main" in self.path:
            repo = "/".join(self.path.split("/")[3:5])
            commit = hub.commit(repo, _committed(body))
            url = f"{hub.url}/{repo}/commit/{commit}"
            return self.answer({"commitUrl": url, "commitOid": commit, "success": True})
        return self.answer({"error": self.path}, 404)

    def chunks(self) -> bytes:
        """A body sent in chunks."""
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def refuse(self, status: int, reason: str, commit: str = "") -> None:
        """No body, and the reason as the hub gives it."""
        self.send_response(status)
        for name, value in (("X-Error-Code", reason), ("X-Repo-Commit", commit)):
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self, content: Any, status: int = 200) -> None:
        """JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nothing."""


def _bytes(content: bytes | Path) -> bytes:
    return content.read_bytes() if isinstance(content, Path) else content


def _committed(body: bytes) -> Files:
    items = [json.loads(line) for line in body.split(b"\n") if line]
    return {
        item["value"]["path"]: base64.b64decode(item["value"]["content"])
        for item in items
        if item["key"] == "file"
    }


@contextmanager
def running_hub() -> Iterator[StandInHub]:
    """A hub that serves inside the block."""
    with StandInHub() as hub:
        thread = threading.Thread(target=hub.serve_forever, daemon=True)
        thread.start()
        yield hub
        hub.shutdown()
        thread.join()


def use_hub(patch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Let huggingface_hub of this process ask `endpoint`, and keep what it fetches in `cache`."""
    constants = "huggingface_hub.constants"
    patch.setenv("NO_PROXY", "127.0.0.1")
    patch.setattr(f"{constants}.ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    patch.setattr(f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE", template)
    patch.setattr(f"{constants}.HF_HUB_CACHE", str(cache))
    patch.setattr(f"{constants}.HF_HUB_DISABLE_XET", True)
    patch.setattr(f"{constants}.HF_HUB_OFFLINE", False)
