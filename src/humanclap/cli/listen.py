"""`humanclap listen`: make, serve, watch, rehearse, close and export a listening test."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import emit, json_option, output_options, progress_bar, remark
from humanclap.cli.listen_options import (
    FILE,
    FOLDER,
    TABLE,
    audio_root_option,
    cache_of,
    next_command,
    study_argument,
)
from humanclap.errors import InputError
from humanclap.extras import require
from humanclap.files import atomic_writer
from humanclap.json_values import to_json

if TYPE_CHECKING:
    from humanclap.listening.study.study import Created
    from humanclap.records import Between

TOKEN_VARIABLE = "HUMANCLAP_ADMIN_TOKEN"


@click.group(
    epilog="""\b
Example:
  humanclap listen new study.toml
  humanclap listen new study.toml --pairs pairs.csv
  humanclap listen simulate study.sqlite --listeners 5
  humanclap listen serve study.sqlite
  humanclap listen export study.sqlite -o ratings/
""",
)
def listen() -> None:
    """Run listening tests: people hear clips and rate how well they match their texts, or choose
    which of two clips or two texts matches better.

    STUDY is the file that `new` made, or a database URL (also from the variable HUMANCLAP_STUDY,
    which keeps a password out of the command line).
    """
    for module in ("sqlalchemy", "fastapi", "uvicorn", "jinja2"):
        require(module, extra="listen")


@listen.command(epilog="Example: humanclap listen new study.toml --pairs pairs.csv")
@click.argument("design", type=FILE)
@click.option(
    "--pairs",
    type=TABLE,
    help="Table of the pairs to rate: audio,text[,system]; of an A/B study, text,audio_a,audio_b "
    "or audio,text_a,text_b[,system_a,system_b].  [default: none, write a DESIGN]",
)
@click.option(
    "--trial",
    type=click.Choice(["rating", "clips", "texts"]),
    help="What the DESIGN to write asks: a rating, or a choice between two clips or two texts.  "
    "[default: rating]",
)
@click.option(
    "--anchors",
    type=TABLE,
    help="Table of mismatched pairs of your own; of an A/B study with a column expected (first or "
    "second).  [default: made from --pairs]",
)
@click.option(
    "--audio-root",
    type=FOLDER,
    help="Where relative audio paths start.  [default: the folder of --pairs]",
)
@click.option("--database", help="Where to keep the study.  [default: DESIGN with .sqlite]")
@click.option(
    "--replace-empty", is_flag=True, help="Replace the study that is there, if it has no answers."
)
@output_options
def new(
    design: Path,
    pairs: Path | None,
    trial: str | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
    **given: Any,
) -> None:
    """Make a study from its DESIGN (a TOML file) and a table of pairs.

    Without --pairs, write a DESIGN to start from, with every setting explained. Every clip is
    decoded to its end, as `humanclap score` does; those that cannot be used are named.
    """
    if pairs is None:
        _write_template(design, trial or "rating", quiet)
        return
    if trial is not None:
        raise click.UsageError(f"--trial is for a new DESIGN; set trial = {trial!r} in {design}")
    where = given["database"] or str(design.with_suffix(".sqlite"))
    between, made = _make_study(where, design, pairs, quiet=quiet, **given)
    items, answers = ("pairs", "ratings") if between is None else ("comparisons", "choices")
    result = {
        "study": where if "://" not in where else "the database given",
        items: made.n_pairs,
        "anchors": made.n_anchors,
        f"{answers}_wanted": made.n_ratings,
        "fingerprint": made.fingerprint,
    }
    lines = "\n".join(f"{name}: {value}" for name, value in result.items())
    emit(to_json({**result, "notes": made.notes}) if as_json else lines, output=output)
    for note in made.notes:
        remark(f"note: {note}", quiet=quiet)
    if given["replace_empty"]:
        remark("a server that runs on this study must be started again", quiet=quiet)
    remark(f"next: {next_command('serve', where)}", quiet=quiet)


def _make_study(
    where: str,
    design: Path,
    pairs: Path,
    *,
    anchors: Path | None,
    audio_root: Path | None,
    replace_empty: bool,
    quiet: bool,
    **_: Any,
) -> tuple[Between | None, Created]:
    """What the study compares, and what was made."""
    from humanclap.listening.design.comparisons import read_items
    from humanclap.listening.design.design import read_design
    from humanclap.listening.study.study import create_study

    between = read_design(design).between
    with progress_bar("decoding clips", quiet=quiet) as progress:
        made = create_study(
            where,
            design_text=design.read_text(encoding="utf-8-sig"),
            pairs=read_items(pairs, between),
            audio_root=audio_root or pairs.parent,
            anchors=None if anchors is None else read_items(anchors, between, anchors=True),
            replace_empty=replace_empty,
            progress=progress,
        )
    return between, made


def _write_template(design: Path, trial: str, quiet: bool) -> None:
    from humanclap.listening.design.design_templates import study_template

    if design.exists():
        raise InputError(f"{design} is there already; add --pairs TABLE to make its study")
    with atomic_writer(design) as file:
        file.write(study_template(trial))
    table = "pairs.csv" if trial == "rating" else "comparisons.csv"
    remark(
        f"wrote {design}; edit it, then: " + next_command("new", str(design), "--pairs", table),
        quiet=quiet,
    )


@listen.command(epilog="Example: humanclap listen serve study.sqlite --port 8000")
@study_argument
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, help="Port to listen on.")
@click.option(
    "--public-url",
    default="",
    help="Address listeners use, where a proxy is in front.  [default: host and port]",
)
@click.option(
    "--proxies",
    default="",
    help="Proxy addresses whose forwarded headers are trusted.",
)
@audio_root_option
@click.option(
    "--cache",
    type=FOLDER,
    help="Folder of the clips' copies.  [default: beside STUDY; of a URL, a temporary one]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    help="Server processes on the port; more than one needs a study in PostgreSQL.",
)
@click.option(
    "--admin-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File whose first line is the admin token.  [default: HUMANCLAP_ADMIN_TOKEN]",
)
@click.option("--allow-simulated", is_flag=True, help="Let bots mark themselves as simulated.")
@click.option(
    "--starts-per-minute",
    type=click.IntRange(min=1),
    default=60,
    help="Most sessions that one address may start in a minute, and that get pairs within "
    "first_answer_minutes.",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    default=3000,
    help="Most requests that one address may make to each worker in a minute.",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not print the addresses.")
def serve(
    study: str,
    audio_root: Path | None,
    cache: Path | None,
    admin_token_file: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Serve STUDY to listeners, and its admin page at /admin.

    The admin token is taken from --admin-token-file or HUMANCLAP_ADMIN_TOKEN, or made anew and
    printed; servers of one study on several hosts need the same. The limits are per client address.
    """
    from humanclap.listening.study.study import open_study
    from humanclap.listening.web.app import serve as serve_app
    from humanclap.listening.web.settings import ServeSettings

    given = os.environ.get(TOKEN_VARIABLE)
    if admin_token_file is not None:
        given = admin_token_file.read_text(encoding="utf-8").partition("\n")[0].strip()
    settings = ServeSettings(admin_token=given or secrets.token_urlsafe(18), **options)
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    remark(f"listeners: {address}/\nadmin:     {address}/admin", quiet=quiet)
    if given is None:
        click.echo(f"admin token: {settings.admin_token}", err=True)
    with open_study(study, audio_root=audio_root) as opened, cache_of(study, cache) as folder:
        serve_app(opened, settings, cache=folder)


@listen.command(epilog="Example: humanclap listen status study.sqlite --pairs")
@study_argument
@click.option("--simulated", is_flag=True, help="Count simulated listeners instead of people.")
@click.option(
    "--pairs", "each_pair", is_flag=True, help="List every pair with its number of ratings."
)
@output_options
def status(
    study: str, simulated: bool, each_pair: bool, as_json: bool, quiet: bool, output: Path | None
) -> None:
    """How far STUDY is: ratings, systems with intervals, agreement, listeners to look at."""
    from dataclasses import asdict

    from humanclap.cli.listen_status import status_text
    from humanclap.listening.results.monitor import overview
    from humanclap.listening.study.study import open_study

    with open_study(study) as opened:
        view = overview(opened, simulated=simulated)
    emit(
        to_json(asdict(view)) if as_json else status_text(view, each_pair=each_pair), output=output
    )
    if view.mixed:
        remark("this study holds simulated answers too (--simulated)", quiet=quiet)


@listen.command(epilog="Example: humanclap listen export study.sqlite -o ratings/")
@study_argument
@click.option("-o", "--output", required=True, type=FOLDER, help="Folder to write to.")
@click.option("--simulated", is_flag=True, help="Write the simulated answers, and only those.")
@click.option("--finished-only", is_flag=True, help="Set unfinished sessions aside.")
@click.option(
    "--recruitment",
    type=FILE,
    help="Also write who came from which recruiting site, apart from the answers.",
)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="No remarks on stderr.")
def export(
    study: str,
    output: Path,
    simulated: bool,
    finished_only: bool,
    recruitment: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Write the answers of STUDY, at any moment; `humanclap ratings` reads ratings.csv, or the
    choices.csv of an A/B study.
    """
    from dataclasses import asdict

    from humanclap.listening.results.export import export_recruitment, export_study
    from humanclap.listening.study.study import open_study

    with open_study(study) as opened:
        done = export_study(opened, output, simulated=simulated, finished_only=finished_only)
        if recruitment is not None:
            export_recruitment(opened, recruitment)
    aside = ", ".join(f"{n} {why}" for why, n in done.set_aside.items()) or "nothing"
    text = f"{done.ratings} rows in {output / done.table}; set aside: {aside}"
    emit(to_json(asdict(done)) if as_json else text, output=None)
    if simulated:
        what = Path(done.table).stem
        remark(f"these {what} are SIMULATED; no person gave them", quiet=quiet)


@listen.command(epilog="Example: humanclap listen close study.sqlite")
@study_argument
@click.option("--reopen", is_flag=True, help="Open the study again.")
def close(study: str, reopen: bool) -> None:
    """Close STUDY: no new listener, no new sound; answers on their way are still stored."""
    from humanclap.listening.study.admin_actions import change_state
    from humanclap.listening.study.study import open_study

    state = "open" if reopen else "closed"
    with open_study(study) as opened:
        change_state(opened, state)
    click.echo(state)


@listen.command(epilog="Example: humanclap listen simulate study.sqlite --listeners 5")
@study_argument
@click.option(
    "--listeners", type=click.IntRange(1, 2000), default=5, help="Number of simulated listeners."
)
@click.option("--seed", type=int, default=0, help="Seed of what the bots hear and answer.")
@click.option(
    "--truth",
    type=TABLE,
    help="Table audio,text,relevance (0..1) of what bots hear; of an A/B study system,strength or "
    "audio,text,strength.  [default: drawn by the seed]",
)
@click.option(
    "--url",
    default="",
    help="Server of STUDY that runs with --allow-simulated.  [default: start one]",
)
@click.option(
    "--careless",
    type=click.FloatRange(0, 1),
    default=0.1,
    help="Share of bots that answer at random.",
)
@audio_root_option
@output_options
def simulate(
    study: str,
    listeners: int,
    seed: int,
    truth: Path | None,
    url: str,
    careless: float,
    audio_root: Path | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> None:
    """Rehearse STUDY with bots that take it through real HTTP; their answers are marked.

    A bot hears a clip's relevance (from --truth, else drawn by the seed for each pair; 0 for a
    mismatch) through a bias, a spread and noise of its own. In an A/B study it chooses by strengths
    as Bradley and Terry have them, with Davidson's ties. Some are careless and answer at random.
    Without --url a server is started for the time being.
    """
    from dataclasses import asdict

    from humanclap.listening.rehearsal.raters import RaterModel
    from humanclap.listening.rehearsal.simulate import rehearse
    from humanclap.listening.study.study import open_study

    with (
        open_study(study, audio_root=audio_root) as opened,
        cache_of(study) as cache,
        progress_bar("listening", quiet=quiet) as progress,
    ):
        done = rehearse(
            opened,
            n_listeners=listeners,
            model=RaterModel(seed=seed, careless=careless),
            truth=truth,
            url=url,
            cache=cache,
            progress=progress,
        )
    what = "sounds" if opened.design.between is None else "comparisons"
    text = (
        f"{done.finished} of {done.listeners} listeners finished, {done.answers} answers, "
        f"SIMULATED; a session has {done.session_sounds} {what} and takes a person about "
        f"{done.session_minutes} minutes"
    )
    emit(to_json(asdict(done)) if as_json else text, output=output)
    remark(f"see them: {next_command('status', study, '--simulated')}", quiet=quiet)
