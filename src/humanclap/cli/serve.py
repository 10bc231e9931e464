"""`humanclap serve`: scores over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from humanclap.cli.console import Command, remark
from humanclap.cli.model_options import ChosenModel, chosen_model, engine_options, threads_option
from humanclap.errors import InputError
from humanclap.extras import require
from humanclap.serving.settings import ServiceSettings

TOKEN_VARIABLE = "HUMANCLAP_TOKEN"

_COUNT = click.IntRange(min=1)
_DEFAULTS = {field.name: field.default for field in fields(ServiceSettings)}


def _setting(option: str, name: str, said: str, kind: Any = float) -> Callable[[Command], Command]:
    """An option for a field of `ServiceSettings`, with its default."""
    return click.option(option, name, type=kind, default=_DEFAULTS[name], help=said)


@click.command(
    epilog="""\b
Examples:
  humanclap serve
  humanclap serve --model my-clap/ --host 0.0.0.0 --token-file token.txt
  curl -F clip=@dog.wav -F text="a dog barks" http://127.0.0.1:8080/v1/score
"""
)
@chosen_model("score with")
@engine_options
@threads_option()
@_setting("--host", "host", "Address to listen on; any but loopback needs a token.", str)
@_setting("--port", "port", "Port to listen on.", click.IntRange(0, 65535))
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the token that clients must show.  [default: {TOKEN_VARIABLE}, else none]",
)
@_setting(
    "--batch-windows",
    "batch_windows",
    "Windows of 10 s that are scored together at most; never changes a score.",
    _COUNT,
)
@_setting(
    "--batch-wait-ms",
    "batch_wait_ms",
    "Longest time that a clip waits for others to be scored with.",
    click.FloatRange(0, 1000),
)
@_setting("--max-body-mb", "body_mb", "Megabytes of a request's body.")
@_setting("--max-pairs", "pairs", "Pairs of one request.", _COUNT)
@_setting("--max-audio-s", "audio_s", "Seconds of audio of one request, all clips together.")
@_setting("--max-clip-s", "clip_s", "Seconds of audio of one clip.")
@_setting(
    "--max-waiting-clips",
    "waiting_clips",
    "Clips of all requests that may wait; further requests are answered 429.",
    _COUNT,
)
@_setting(
    "--max-waiting-mb",
    "waiting_mb",
    "Megabytes of bodies that may wait; further requests are answered 429.",
)
@_setting("--timeout-s", "timeout_s", "Longest time from a request to its answer.")
@_setting(
    "--stall-s",
    "stall_s",
    "Longest wait for the head of a request, and between parts of its body.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not print the address.")
def serve(threads: int | None, token_file: Path | None, quiet: bool, **given: Any) -> None:
    """Score over HTTP.

    POST /v1/score takes sound files with their texts as a form, as JSON or as a safetensors file
    (the smallest), and answers with the fields that humanclap score writes. /v1/model gives the
    signature and the limits, /openapi.json describes all addresses, /health/live and /health/ready
    are for probes, /metrics is for Prometheus. humanclap.serving.Client is the client in Python.
    Clips of different requests are scored together. When there is no room for a request, the
    answer is 429 with Retry-After. After SIGTERM or Ctrl-C the service answers the requests that it
    has taken, then it stops; a second signal stops it at once.
    """
    for module in ("fastapi", "uvicorn", "prometheus_client", "python_multipart"):
        require(module, extra="serve")
    from humanclap.clap.device import use_threads
    from humanclap.scoring.staged import StagedCLAP
    from humanclap.serving.server import serve as run

    chosen = ChosenModel.taken_from(given)
    settings = ServiceSettings(token=_token(token_file), **given)
    if threads:
        use_threads(threads)
    scorer = chosen.scorer(StagedCLAP, quiet=quiet, cache=False)
    run(scorer, settings, started=lambda url: _tell(url, scorer.signature, quiet))


def _tell(url: str, signature: str, quiet: bool) -> None:
    remark(f"serving {signature} on {url}", quiet=quiet)


def _token(file: Path | None) -> str | None:
    """The token of the file, else of the environment; None where there is neither."""
    if file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: the token cannot be read ({error})") from error
    if not token:
        raise InputError(f"{file}: holds no token; such as: openssl rand -hex 24 > {file}")
    return token
