"""Hub ids, for real: a server on this machine stands in for the hub, a fresh process asks it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from stand_in_hub import running_hub
from tiny_hf import write_clap

from humanclap.clap.known_pairs import identities_of

pytest.importorskip("transformers")

CLIENT = """
import json, sys, time
time.sleep = lambda seconds: None  # the hub's client waits between its retries
import numpy as np
from humanclap.clap.checkpoint import load_checkpoint
from humanclap.errors import CheckpointError
results = {}
for name, offline in json.loads(sys.argv[1]):
    try:
        loaded = load_checkpoint(name, offline=offline)
        assert loaded.backbone.name == name
        results[name] = loaded.backbone.fingerprint()
        (results[name + " met"],) = loaded.known_identities().met(["Rain"], np.zeros(0, np.uint32))
    except CheckpointError as error:
        results[name] = str(error)
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("hub")
    whole = write_clap(root / "whole")
    identities_of([(None, "rain", "tuned")]).save(whole)
    no_weights = write_clap(root / "no-weights")
    (no_weights / "model.safetensors").unlink()
    with running_hub() as running:
        running.upload("someone/whole", whole)
        tuned = write_clap(root / "fine-tuned", fused=True, processor=False)
        running.upload("someone/fine-tuned", tuned)
        unfused = write_clap(root / "fine-tuned-unfused", processor=False)
        running.upload("someone/fine-tuned-unfused", unfused)
        running.upload("someone/no-weights", no_weights)
        running.commit("someone/no-model", {})
        running.upload("laion/clap-htsat-fused", write_clap(root / "fused", fused=True))
        yield running.url


def load(
    endpoint: str, home: Path, *names: tuple[str, bool], client: str = CLIENT
) -> dict[str, str]:
    """What a fresh process gets for each (name, offline): a fingerprint or the error."""
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", client, json.dumps(names)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def is_fingerprint(text: str) -> bool:
    return len(text) == 8 and int(text, 16) >= 0


def test_models_of_the_hub_load_once_online_and_then_offline(hub, tmp_path):
    online = load(
        hub,
        tmp_path,
        ("someone/whole", False),
        ("someone/fine-tuned", False),
        ("laion/clap-htsat-fused", False),
        ("someone/misspelt", False),
        ("someone/no-model", False),
        ("someone/no-weights", False),
        ("someone/fine-tuned-unfused", False),
        ("gated/clap", False),
    )
    assert is_fingerprint(online["someone/whole"])
    assert online["someone/whole met"] == "caption:tuned"
    assert online["someone/fine-tuned met"] == "unknown"
    # released without a processor: that of LAION's checkpoint of its kind is fetched
    assert is_fingerprint(online["someone/fine-tuned"])
    assert "no such model on the hub (misspelt?" in online["someone/misspelt"]
    assert "the hub repository has no config.json" in online["someone/no-model"]
    assert "the hub repository has no pytorch_model.bin" in online["someone/no-weights"]
    assert "laion/clap-htsat-unfused cannot be had" in online["someone/fine-tuned-unfused"]
    assert "gated; ask for access" in online["gated/clap"]

    nobody = "http://127.0.0.1:9"
    offline = load(
        nobody,
        tmp_path,
        ("someone/whole", True),
        ("someone/fine-tuned", True),
        ("someone/never-loaded", True),
        ("someone/unreachable", False),
        ("laion/clap-htsat-fused", False),
    )
    for name in ("someone/whole", "someone/fine-tuned", "laion/clap-htsat-fused"):
        assert offline[name] == online[name]
        assert offline[f"{name} met"] == online[f"{name} met"]
    never = offline["someone/never-loaded"]
    assert "config.json is not in the local cache of the hub; load it once online" in never
    assert "the hub cannot be reached" in offline["someone/unreachable"]


def test_a_misspelt_folder_is_told_at_once_and_the_hub_is_not_asked(tmp_path):
    (tmp_path / "runs" / "relate").mkdir(parents=True)
    client = CLIENT.replace("time.sleep = lambda seconds: None", "started = time.monotonic()")
    client += "assert time.monotonic() - started < 60, 'waited'\n"
    client = f"import os; os.chdir({str(tmp_path)!r})\nimport transformers\n{client}"
    found = load("http://127.0.0.1:9", tmp_path, ("runs/relat", False), client=client)
    assert found["runs/relat"] == (
        "runs/relat: no such folder (runs holds relate); if it is a hub id, say so with "
        "--revision main"
    )


def test_the_command_line_says_once_that_the_hub_cannot_be_reached(tmp_path):
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    arguments = ["score", "x.wav", "a dog", "-m", "runs/rel"]
    done = subprocess.run(
        [sys.executable, "-m", "humanclap", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = done.stderr.strip().split("\n")
    assert line.startswith("error: runs/rel: no such folder, and the hub cannot be reached")


def test_a_hub_that_answers_badly_is_asked_again_and_each_time_told_once(tmp_path):
    class Busy(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    code = """
import sys, time
time.sleep = lambda seconds: None
from humanclap.cli.main import run
sys.exit(run(["score", "x.wav", "a dog", "-m", "someone/clap"]))
"""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = os.environ | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    server.shutdown()
    server.server_close()
    retries = [line for line in done.stderr.split("\n") if "Retry 1/" in line]
    assert (done.returncode, len(retries)) == (2, 1), done.stderr
