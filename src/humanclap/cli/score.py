"""`humanclap score`: one pair, a table of pairs, or a folder with a table of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from humanclap.cli.console import (
    MODEL_HELP,
    audio_root_option,
    cache_option,
    device_option,
    emit,
    model_options,
    output_options,
    progress_bar,
    remark,
    to_json,
    warn_of_language,
    warn_of_notes,
)
from humanclap.cli.main import EXIT_SOME_FAILED
from humanclap.cli.paper import check_figures, figures_option, paper_format, paper_options
from humanclap.errors import InputError
from humanclap.formats import STANDARD, TABLE_SUFFIXES, check_output, suffix_of
from humanclap.records import UNKNOWN_MET, Pair, Score, roles_met
from humanclap.typeset import SUFFIXES

if TYPE_CHECKING:
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.tables import Further
    from humanclap.typeset import Format


@click.command(
    epilog="""\b
Examples:
  humanclap score dog.wav "a dog barks"
  humanclap score pairs.csv --audio-root clips/ -o scores.csv
  humanclap score clips/ --texts texts.csv -o scores.csv
  generate-pairs | humanclap score - --audio-root clips/ -o scores.parquet
  humanclap score pairs.csv -o scores.csv --latex > systems.tex
"""
)
@click.argument("source", type=click.Path(path_type=Path))
@click.argument("text", required=False)
@click.option(
    "--texts", type=click.Path(path_type=Path), help="Table name,text of the clips in a folder."
)
@audio_root_option
@click.option(
    "-m",
    "--model",
    default="mini",
    show_default=True,
    help=f"Model to score with: {MODEL_HELP}",
)
@model_options
@device_option
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="Precision of the model's arithmetic (int8: of a transformers CLAP's audio tower, on the "
    "CPU; compare by humanclap bench); part of the signature.",
)
@click.option(
    "--engine",
    type=click.Choice(["torch", "openvino", "onnxruntime"]),
    default="torch",
    show_default=True,
    help="What runs a transformers CLAP's audio tower (the others: humanclap[openvino], "
    "humanclap[onnxruntime], on the CPU; compare by humanclap bench); part of the signature.",
)
@click.option("--hop", "hop_s", type=float, help="Seconds between windows.  [default: a window]")
@click.option(
    "--batch-windows",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Windows per forward pass; changes speed and memory, never a score.",
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Number of CPU threads.  [default: one for a single pair, else torch's choice]",
)
@click.option(
    "--allow-unmatched",
    is_flag=True,
    help="Leave out clips of a folder without a text, and texts without a clip.",
)
@click.option("--restart", is_flag=True, help="Forget an unfinished run of this output.")
@cache_option
@paper_options
@figures_option
@partial(output_options, report=False)
def score(
    source: Path,
    text: str | None,
    texts: Path | None,
    audio_root: Path | None,
    model: str,
    mn04: Path | None,
    offline: bool,
    revision: str | None,
    processor: str | None,
    device: str,
    precision: str,
    engine: str,
    hop_s: float | None,
    batch_windows: int,
    threads: int | None,
    allow_unmatched: bool,
    restart: bool,
    cache: bool,
    latex: bool,
    markdown: bool,
    figures: Path | None,
    as_json: bool,
    quiet: bool,
    output: Path | None,
) -> int:
    """Score how well audio matches text.

    SOURCE is a clip (then TEXT follows), a table with the columns audio,text (.csv, .tsv, .jsonl,
    .json, .parquet, also .csv.gz and the like; - is standard input), or a folder of clips (then
    --texts names a table name,text). Pairs are matched by key, never by order. Further columns are
    kept. The score is a cosine in -1..1; a calibrated model adds a predicted rating on
    0..10 with its standard error. The column met says whether the model was trained, tuned or
    calibrated on the caption or on a copy of the clip, as far as its checkpoint remembers; the
    score is the same, but says nothing about unseen pairs. The column note names silent clips and
    texts longer than the model reads; text_cut counts the word pieces not read, text_unread is the
    share of letters that the model does not know. After a table, stderr says of each system how
    many clips and prompts there are, their mean score with its 95 % interval over prompts, their
    mean predicted rating with its error, and how many failed; --latex and --markdown print that as
    a table for a paper. Exit code 1: some pairs could not be scored, for
    their clip or because more than half of the text's letters are unknown; their rows say why.
    """
    paper = paper_format(output, latex=latex, markdown=markdown, as_json=as_json)
    if text is not None and (paper or figures):
        raise click.UsageError("--latex, --markdown and --figures are for a table of pairs")
    summary_file = output if output is not None and suffix_of(output) in SUFFIXES else None
    output = None if summary_file else output
    if output is not None and not as_json and (text is None or suffix_of(output)):
        check_output(output)
    check_figures(figures)
    pairs, further, root = _pairs(source, text, texts, audio_root, allow_unmatched)
    from humanclap.clap.device import use_threads
    from humanclap.scoring.run import score_table
    from humanclap.scoring.scorer import HumanCLAP
    from humanclap.scoring.settings import ScoringSettings

    if threads or text is not None:
        use_threads(threads or 1)
    settings = ScoringSettings(
        device=device,
        precision=precision,  # type: ignore[arg-type]
        engine=engine,  # type: ignore[arg-type]
        hop_s=hop_s,
        batch_windows=batch_windows,
        cache=cache,
    )
    with progress_bar("fetching", quiet=quiet) as progress:
        scorer = HumanCLAP.from_pretrained(
            model,
            settings=settings,
            mn04=mn04,
            offline=offline,
            revision=revision,
            processor=processor,
            progress=progress,
        )
    fitted = scorer.calibration
    if fitted is not None and fitted.guess:
        told = f"predicted ratings were fitted on {fitted.n} pairs; their errors are a guess"
        remark(told, quiet=quiet)
    single = text is not None and (output is None or not suffix_of(output))
    to_file = output is not None and str(output) != STANDARD
    table = output if to_file and not as_json and not single else None
    with progress_bar("scoring", quiet=quiet) as progress:
        scores = score_table(
            scorer,
            pairs,
            audio_root=root,
            output=table,
            restart=restart,
            further=further,
            progress=progress,
        )
    if table is None and not paper:
        emit(_text_of(scores, further, as_json=as_json, single=text is not None), output=output)
    warn_of_language(scorer.backbone, [item.text for item in scores if item.error is None])
    warn_of_notes(scores)
    _remark_renamed(further, quiet)
    if text is None:
        _summarise(scores, scorer, paper, summary_file, figures, quiet, kept=table is not None)
    return _report(scores, scorer.signature, output or summary_file, quiet)


def _pairs(
    source: Path,
    text: str | None,
    texts: Path | None,
    audio_root: Path | None,
    allow_unmatched: bool,
) -> tuple[Sequence[Pair], Further, Path]:
    """What to score, further cells of its table, and where its relative paths start."""
    from humanclap.scoring.manifest import pairs_of_folder
    from humanclap.tables import read_manifest

    if text is not None:
        return [Pair(audio=str(source), text=text)], {}, audio_root or Path()
    if source.is_dir():
        if texts is None:
            raise InputError(f"{source}: a folder needs its texts: --texts TABLE (name,text)")
        return *pairs_of_folder(source, texts, allow_unmatched=allow_unmatched), source
    if str(source) != STANDARD and suffix_of(source) not in TABLE_SUFFIXES:
        raise InputError(
            f'{source}: give the clip\'s text too (humanclap score {source.name} "a text"), '
            f"or a table ({', '.join(TABLE_SUFFIXES)})"
        )
    return *read_manifest(source), audio_root or source.parent


def _text_of(scores: Sequence[Score], further: Further, *, as_json: bool, single: bool) -> str:
    from humanclap.scoring.run import score_rows
    from humanclap.tables import rows_as_csv

    columns, rows = score_rows(scores, further)
    if as_json:
        return to_json(rows[0] if single else rows)
    if single:
        item = scores[0]
        if item.error is not None:
            return f"error: {item.error}"
        if math.isnan(item.rating):
            return f"{item.score:.4f}"
        rating = f"{item.rating:.1f} ± {item.rating_error:.1f} of 10"
        return f"{item.score:.4f}  (predicted rating {rating})"
    return rows_as_csv(columns, rows).rstrip("\n")


def _summarise(
    scores: Sequence[Score],
    scorer: HumanCLAP,
    paper: Format | None,
    output: Path | None,
    figures: Path | None,
    quiet: bool,
    *,
    kept: bool,
) -> None:
    """One line a system on stderr; for a paper a table, which is the result, and figures.

    kept: whether the scores of the pairs have been written.
    """
    from humanclap.scoring.summary import lines, method, paper_table, summarise
    from humanclap.typeset import typeset

    fitted, covers = scorer.calibration, scorer.rating_covers
    found = summarise(scores, fitted.map_error if fitted else None)
    if paper:
        met = sum(bool(roles_met(item.met)) for item in scores)
        table = paper_table(found, signature=scorer.signature, covers=covers, met=met)
        emit(typeset([table], paper), output=output)
        if not kept:
            told = f"the scores of the pairs are not kept; -o scores.csv --{paper} keeps them and"
            remark(f"{told} prints the table", quiet=quiet)
    else:
        remark("\n".join([*lines(found), method(found, covers=covers)]), quiet=quiet)
    if figures is not None:
        from humanclap.scoring.figures import draw_scores

        for path in draw_scores(scores, found, figures):
            remark(f"wrote {path}", quiet=quiet)


def _remark_renamed(further: Further, quiet: bool) -> None:
    from humanclap.scoring.run import renamed_columns

    if renamed := renamed_columns(further):
        names = ", ".join(f"{name} as {kept}" for name, kept in renamed.items())
        remark(f"columns of the table that have new values are kept: {names}", quiet=quiet)


def _warn_of_met(scores: Sequence[Score], quiet: bool) -> None:
    """Say which pairs the model met in training; scoring them is no fault, judging by them is."""
    met = [item for item in scores if roles_met(item.met)]
    for item in met[:5]:
        click.echo(f"warning: met in training: {item.audio} | {item.text}: {item.met}", err=True)
    if met:
        click.echo(
            f"warning: the model met {len(met)} of {len(scores)} pairs in training", err=True
        )
    unknown = sum(item.met == UNKNOWN_MET for item in scores)
    if unknown:
        remark(
            f"what the model met in training is unknown for {unknown} of {len(scores)} pairs "
            "(the checkpoint does not name all, or a clip has too little sound to be known)",
            quiet=quiet,
        )


def _report(scores: Sequence[Score], signature: str, output: Path | None, quiet: bool) -> int:
    failed = [item for item in scores if item.error is not None]
    for item in failed[:5]:
        click.echo(f"error: {item.audio}: {item.error}", err=True)
    if failed:
        click.echo(f"{len(failed)} of {len(scores)} pairs could not be scored", err=True)
    _warn_of_met(scores, quiet)
    where = f" -> {output}" if output else ""
    remark(f"{len(scores) - len(failed)} scored{where}  {signature}", quiet=quiet)
    return EXIT_SOME_FAILED if failed else 0
