"""`humanclap listen`: make, serve, watch, rehearse, close and export a listening test."""

from __future__ import annotations

import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from humanclap.cli.console import emit, output_options, progress_bar, remark, text_table
from humanclap.errors import InputError
from humanclap.extras import require
from humanclap.files import atomic_writer
from humanclap.json_values import to_json

Command = TypeVar("Command", bound=Callable[..., Any])
TOKEN_VARIABLE = "HUMANCLAP_ADMIN_TOKEN"
URL_VARIABLE = "HUMANCLAP_STUDY"

_study_argument = click.argument("study", envvar=URL_VARIABLE)
_audio_root_option = click.option(
    "--audio-root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where relative audio paths start.  [default: as the study was made]",
)


@click.group(
    epilog="""\b
Example:
  humanclap listen new study.toml
  humanclap listen new study.toml --pairs pairs.csv
  humanclap listen simulate study.sqlite --listeners 5
  humanclap listen serve study.sqlite
  humanclap listen export study.sqlite -o ratings/
"""
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
@click.argument("design", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--pairs",
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path),
    help="Table of mismatched pairs of your own; of an A/B study with a column expected (first or "
    "second).  [default: made from --pairs]",
)
@click.option(
    "--audio-root",
    type=click.Path(file_okay=False, path_type=Path),
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
    anchors: Path | None,
    audio_root: Path | None,
    database: str | None,
    replace_empty: bool,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> None:
    """Make a study from its DESIGN (a TOML file) and a table of pairs.

    Without --pairs, write a DESIGN to start from, with every setting explained. Every clip is
    decoded to its end, as `humanclap score` does; those that cannot be used are named.
    """
    if pairs is None:
        _write_starter(design, trial or "rating", quiet)
        return
    if trial is not None:
        raise click.UsageError(f"--trial is for a new DESIGN; set trial = {trial!r} in {design}")
    from humanclap.listening.design.comparisons import read_items
    from humanclap.listening.design.design import read_design
    from humanclap.listening.study.study import create_study

    between = read_design(design).between
    where = database or str(design.with_suffix(".sqlite"))
    with progress_bar("decoding clips", quiet=quiet) as progress:
        made = create_study(
            where,
            design_text=design.read_text(encoding="utf-8"),
            pairs=read_items(pairs, between),
            audio_root=audio_root or pairs.parent,
            anchors=None if anchors is None else read_items(anchors, between, anchors=True),
            replace_empty=replace_empty,
            progress=progress,
        )
    items, answers = ("pairs", "ratings") if between is None else ("comparisons", "choices")
    result = {
        "study": where if "://" not in where else "the database given",
        items: made.n_pairs,
        "anchors": made.n_anchors,
        f"{answers}_wanted": made.n_ratings,
        "fingerprint": made.fingerprint,
    }
    text = to_json({**result, "notes": made.notes}) if as_json else _lines(result)
    emit(text, output=output)
    for note in made.notes:
        remark(f"note: {note}", quiet=quiet)
    if replace_empty:
        remark("a server that runs on this study must be started again", quiet=quiet)
    remark(f"next: {_next_command('serve', where)}", quiet=quiet)


def _lines(result: Mapping[str, object]) -> str:
    return "\n".join(f"{name}: {value}" for name, value in result.items())


def _next_command(command: str, study: str, *options: str) -> str:
    """A command on a study, fit to be pasted; of a database URL, which may hold a password, none.

    >>> _next_command("serve", "my study.sqlite")
    "humanclap listen serve 'my study.sqlite'"
    """
    if "://" in study:
        words = shlex.join(["humanclap", "listen", command, *options])
        return f"{words}  (with the database's URL in {URL_VARIABLE})"
    return shlex.join(["humanclap", "listen", command, study, *options])


def _write_starter(design: Path, trial: str, quiet: bool) -> None:
    from humanclap.listening.design.design_templates import starter

    if design.exists():
        raise InputError(f"{design} is there already; add --pairs TABLE to make its study")
    with atomic_writer(design) as file:
        file.write(starter(trial))
    table = "pairs.csv" if trial == "rating" else "comparisons.csv"
    remark(
        f"wrote {design}; edit it, then: " + _next_command("new", str(design), "--pairs", table),
        quiet=quiet,
    )


@listen.command(epilog="Example: humanclap listen serve study.sqlite --port 8000")
@_study_argument
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="Port to listen on.",
)
@click.option(
    "--public-url",
    default="",
    help="Address listeners use, where a proxy is in front.  [default: host and port]",
)
@click.option("--proxies", default="", help="Proxy addresses whose forwarded headers are trusted.")
@_audio_root_option
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the clips' copies.  [default: beside STUDY; of a URL, a temporary one]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
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
    show_default=True,
    help="Most sessions one address may start in a minute; as many get pairs within "
    "first_answer_minutes.",
)
@click.option(
    "--requests-per-minute",
    type=click.IntRange(min=1),
    default=3000,
    show_default=True,
    help="Most requests one client address may make in a minute, of each worker.",
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
    opened = open_study(study, audio_root=audio_root)
    address = settings.public_url or f"http://{settings.host}:{settings.port}"
    remark(f"listeners: {address}/\nadmin:     {address}/admin", quiet=quiet)
    if given is None:
        click.echo(f"admin token: {settings.admin_token}", err=True)
    try:
        with _cache_of(study, cache) as folder:
            serve_app(opened, settings, cache=folder)
    finally:
        opened.close()


@contextmanager
def _cache_of(study: str, given: Path | None = None) -> Iterator[Path]:
    """The folder given, or one beside the study's file; of a URL, one that is gone at the end."""
    if given is None and "://" in study:
        with tempfile.TemporaryDirectory(prefix="humanclap-clips-") as folder:
            yield Path(folder)
    else:
        yield given or Path(study).with_suffix(".clips")


@listen.command(epilog="Example: humanclap listen status study.sqlite --pairs")
@_study_argument
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

    from humanclap.listening.results.monitor import overview
    from humanclap.listening.study.study import open_study

    opened = open_study(study)
    try:
        view = overview(opened, simulated=simulated)
    finally:
        opened.close()
    emit(to_json(asdict(view)) if as_json else _status_text(view, each_pair), output=output)
    if view.mixed:
        remark("this study holds simulated answers too (--simulated)", quiet=quiet)


def _status_text(view: Any, each_pair: bool) -> str:
    who = "  SIMULATED LISTENERS" if view.simulated else ""
    states = ", ".join(f"{n} {state}" for state, n in view.sessions.items()) or "none"
    answers = "ratings" if view.trial == "rating" else "choices"
    lines = [
        f"{view.title} ({view.fingerprint}): {view.state}{who}",
        f"{answers}: {view.ratings_answered} of {view.ratings_wanted}, "
        f"{view.ratings_promised} promised; sessions: {states}",
        *_attendance_text(view),
        *(f"set aside, {reason}: {n}" for reason, n in view.set_aside.items()),
        *(
            f"cannot be played: {clip.audio}: {clip.reason} (left out {clip.left_out} times)"
            for clip in view.failed_clips
        ),
        "",
        *(_rated_text(view) if view.trial == "rating" else _compared_text(view)),
    ]
    if flagged := [person for person in view.listeners if person.flags and not person.excluded]:
        anchors = "anchor mean" if view.trial == "rating" else "anchors right"
        rows = [
            (
                p.listener_id,
                p.anchor_mean if view.trial == "rating" else p.anchors_right,
                p.checks_failed,
                p.median_trial_s,
                ", ".join(p.flags),
            )
            for p in flagged
        ]
        columns = ("look at listener", anchors, "checks failed", "s a trial", "why")
        lines += ["", text_table(columns, rows)]
    if each_pair:
        rows = [(p.audio, p.text, p.answered, p.promised, p.wanted) for p in view.pairs]
        lines += ["", text_table(("audio", "text", "answered", "promised", "wanted"), rows)]
    return "\n".join(lines)


def _rated_text(view: Any) -> list[str]:
    systems = text_table(
        ("system", "ratings", "wanted", f"{view.mos_question} MOS", "95% ±"),
        [(s.system, s.answered, s.wanted, s.mos.mean, s.mos.half_width) for s in view.systems],
    )
    agreement = text_table(
        ("question", "ratings", "ICC(1)", "one against others"),
        [(a.question, a.n_ratings, a.icc, a.leave_one_out_srcc) for a in view.agreement],
    )
    return [systems, "", agreement]


def _compared_text(view: Any) -> list[str]:
    systems = text_table(
        ("pair of systems", "choices", "wanted", "chose the first", "95% ±", "it stood at A"),
        [
            (s.system, s.answered, s.wanted, s.mos.mean, s.mos.half_width, s.led)
            for s in view.systems
        ],
    )
    [agreement] = view.agreement
    sides = text_table(
        ("choices", "Krippendorff's alpha", "chose the side at A"),
        [(agreement.n_ratings, agreement.alpha, view.chose_a)],
    )
    return [systems, "", sides]


def _attendance_text(view: Any) -> list[str]:
    """Drop-outs, the time that a session takes, and what the first page says of it."""
    seen, length = view.attendance, view.length
    where = ", ".join(f"{n} {stage}" for stage, n in seen.dropped_out.items())
    lines = [
        f"dropped out: {seen.n_dropped_out} of {seen.agreed} who agreed"
        + (f" ({where}; median sounds answered {seen.sounds_at_drop_out:g})" if where else "")
    ]
    if seen.finished and not view.simulated:
        minutes = f"{seen.median_minutes:.1f} minutes"
        lines.append(f"median time from consent to the last sound: {minutes}")
    said = {"design": "stated", "rehearsal": "rehearsed", "clips": "from the clips' lengths"}
    minutes = f"about {length.minutes} minutes ({said[length.source]})"
    what = "sounds" if view.trial == "rating" else "comparisons"
    return [*lines, f"the first page says: {length.sounds} {what}, {minutes}"]


@listen.command(epilog="Example: humanclap listen export study.sqlite -o ratings/")
@_study_argument
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder to write to.",
)
@click.option("--simulated", is_flag=True, help="Write the simulated answers, and only those.")
@click.option("--finished-only", is_flag=True, help="Set unfinished sessions aside.")
@click.option(
    "--recruitment",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write who came from which recruiting site, apart from the answers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
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

    opened = open_study(study)
    try:
        done = export_study(opened, output, simulated=simulated, finished_only=finished_only)
        if recruitment is not None:
            export_recruitment(opened, recruitment)
    finally:
        opened.close()
    aside = ", ".join(f"{n} {why}" for why, n in done.set_aside.items()) or "nothing"
    text = f"{done.ratings} rows in {output / done.table}; set aside: {aside}"
    emit(to_json(asdict(done)) if as_json else text, output=None)
    if simulated:
        what = Path(done.table).stem
        remark(f"these {what} are SIMULATED; no person gave them", quiet=quiet)


@listen.command(epilog="Example: humanclap listen close study.sqlite")
@_study_argument
@click.option("--reopen", is_flag=True, help="Open the study again.")
def close(study: str, reopen: bool) -> None:
    """Close STUDY: no new listener, no new sound; answers on their way are still stored."""
    from humanclap.listening.study.admin_actions import change_state
    from humanclap.listening.study.study import open_study

    opened = open_study(study)
    try:
        change_state(opened, "open" if reopen else "closed")
    finally:
        opened.close()
    click.echo("open" if reopen else "closed")


@listen.command(epilog="Example: humanclap listen simulate study.sqlite --listeners 5")
@_study_argument
@click.option(
    "--listeners",
    type=click.IntRange(1, 2000),
    default=5,
    show_default=True,
    help="Number of simulated listeners.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of what the bots hear and answer."
)
@click.option(
    "--truth",
    type=click.Path(path_type=Path),
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
    show_default=True,
    help="Share of bots that answer at random.",
)
@_audio_root_option
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

    from humanclap.listening.rehearsal.simulate import RaterModel, rehearse
    from humanclap.listening.study.study import open_study

    model = RaterModel(seed=seed, careless=careless)
    opened = open_study(study, audio_root=audio_root)
    try:
        with progress_bar("listening", quiet=quiet) as progress, _cache_of(study) as cache:
            done = rehearse(
                opened,
                n_listeners=listeners,
                model=model,
                truth=truth,
                url=url,
                cache=cache,
                progress=progress,
            )
    finally:
        opened.close()
    what = "sounds" if opened.design.between is None else "comparisons"
    text = (
        f"{done.finished} of {done.listeners} listeners finished, {done.answers} answers, "
        f"SIMULATED; a session has {done.session_sounds} {what} and takes a person about "
        f"{done.session_minutes} minutes"
    )
    emit(to_json(asdict(done)) if as_json else text, output=output)
    remark(f"see them: {_next_command('status', study, '--simulated')}", quiet=quiet)
