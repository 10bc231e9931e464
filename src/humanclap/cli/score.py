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
    cache_option,
    device_option,
    emit,
    model_options,
    output_options,
    progress_bar,
    remark,
    warn_of_language,
    warn_of_notes,
)
from humanclap.cli.paper import check_figures, figures_option, paper_format, paper_options
from humanclap.cli.score_ray import PLACE, ray_options, score_on_ray
from humanclap.cli.score_report import remark_renamed, report, summarise_scores
from humanclap.errors import InputError
from humanclap.files import STANDARD
from humanclap.formats import TABLE_SUFFIXES, check_output, suffix_of
from humanclap.json_values import to_json
from humanclap.records import Pair, Score
from humanclap.typeset import SUFFIXES

if TYPE_CHECKING:
    from humanclap.tables import Further


@click.command(
    epilog="""\b
Examples:
  humanclap score dog.wav "a dog barks"
  humanclap score pairs.csv --audio-root clips/ -o scores.csv
  humanclap score clips/ --texts texts.csv -o scores.csv
  generate-pairs | humanclap score - --audio-root clips/ -o scores.parquet
  humanclap score pairs.csv -o scores.csv --latex > systems.tex
  humanclap score 's3://bucket/pairs/*.parquet' --runner ray -o s3://bucket/scores/
"""
)
@click.argument("source", type=PLACE)
@click.argument("text", required=False)
@click.option(
    "--texts", type=click.Path(path_type=Path), help="Table name,text of the clips in a folder."
)
@click.option(
    "--audio-root",
    type=PLACE,
    help="Where relative audio paths start.  [default: the table's folder]",
)
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
@ray_options
@partial(output_options, report=False, output_type=PLACE)
def score(
    source: Path | str,
    text: str | None,
    texts: Path | None,
    audio_root: Path | str | None,
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
    output: Path | str | None,
    runner: str,
    ray_address: str | None,
    workers: int | None,
    shard_rows: int | None,
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

    With --runner ray SOURCE is a table, a WebDataset shard (.tar), a folder of them or a pattern,
    and every place may be an address such as s3://bucket/pairs.parquet; -o is a table or a folder
    for parts (docs/cluster.md).
    """
    if runner == "ray":
        return score_on_ray(click.get_current_context().params)
    if workers or shard_rows or ray_address:
        raise click.UsageError("--ray-address, --workers and --shard-rows are for --runner ray")
    for place in (source, audio_root, output):
        if isinstance(place, str):
            raise click.UsageError(f"{place}: an address is for --runner ray")
    source, audio_root = Path(source), None if audio_root is None else Path(audio_root)
    output = None if output is None else Path(output)
    if output is not None and output.is_dir():
        raise InputError(f"{output}: is a folder; name a file")
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
    from humanclap.scoring.run import renamed_columns, score_table
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
    remark_renamed(renamed_columns(further), quiet)
    if text is None:
        summarise_scores(
            scores, scorer, paper, summary_file, figures, quiet, kept=table is not None
        )
    return report(scores, scorer.signature, output or summary_file, quiet)


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
