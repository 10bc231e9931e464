"""`humanclap serve`: scores over HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from humanclap.cli.console import remark
from humanclap.cli.model_options import ChosenModel, chosen_model, engine_options, threads_option
from humanclap.errors import InputError
from humanclap.extras import require

TOKEN_VARIABLE = "HUMANCLAP_TOKEN"


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
@click.option(
    "--host", default="127.0.0.1", help="Address to listen on; any but loopback needs a token."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="Port to listen on.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the token that clients must show.  [default: {TOKEN_VARIABLE}, else none]",
)
@click.option(
    "--batch-windows",
    type=click.IntRange(min=1),
    default=32,
    help="Windows of 10 s that are scored together at most; never changes a score.",
)
@click.option(
    "--batch-wait-ms",
    type=click.FloatRange(0, 1000),
    default=5.0,
    help="Longest wait of a clip for others to be scored with.",
)
@click.option(
    "--max-body-mb", "body_mb", type=float, default=128.0, help="Megabytes of a request's body."
)
@click.option(
    "--max-pairs", "pairs", type=click.IntRange(min=1), default=256, help="Pairs of one request."
)
@click.option(
    "--max-audio-s",
    "audio_s",
    type=float,
    default=3600.0,
    help="Seconds of audio of one request, all clips together.",
)
@click.option(
    "--max-clip-s", "clip_s", type=float, default=600.0, help="Seconds of audio of one clip."
)
@click.option(
    "--max-waiting-clips",
    "waiting_clips",
    type=click.IntRange(min=1),
    default=1024,
    help="Clips of all requests that may wait; beyond them the answer is 429.",
)
@click.option(
    "--max-waiting-mb",
    "waiting_mb",
    type=float,
    default=1024.0,
    help="Megabytes of bodies that may wait; beyond them the answer is 429.",
)
@click.option(
    "--timeout-s", type=float, default=120.0, help="Longest time from a request to its answer."
)
@click.option(
    "--stall-s",
    type=float,
    default=10.0,
    help="Longest wait for the head of a request, and between parts of its body.",
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
    from humanclap.serving.settings import ServiceSettings

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
