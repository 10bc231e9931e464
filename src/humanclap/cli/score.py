"""`humanclap score`: one pair, a table of pairs, or a folder with a table of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    cache_option,
    emit,
    output_options,
    progress_bar,
    remark,
    warn_of_language,
    warn_of_notes,
)
from humanclap.cli.model_options import ChosenModel, chosen_model, engine_options, threads_option
from humanclap.cli.paper import check_figures, figures_option, paper_format, paper_options
from humanclap.cli.score_ray import PLACE, SETTINGS, ray_options, score_on_ray
from humanclap.cli.score_report import remark_renamed, report, summarise_scores
from humanclap.errors import InputError
from humanclap.files import STANDARD
from humanclap.formats import TABLE_SUFFIXES, check_output, suffix_of
from humanclap.json_values import to_json
from humanclap.records import Pair, Score
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
@chosen_model("score with")
@engine_options
@click.option("--hop", "hop_s", type=float, help="Seconds between windows.  [default: a window]")
@click.option(
    "--batch-windows",
    type=click.IntRange(min=1),
    default=8,
    help="Windows per forward pass; changes speed and memory, never a score.",
)
@threads_option("one for a single pair, else torch's choice")
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
def score(runner: str, threads: int | None, quiet: bool, **given: Any) -> int:
    """Score how well audio matches text.

    SOURCE is a clip (then TEXT follows), a table with the columns audio,text (.csv, .tsv, .jsonl,
    .json, .parquet, also .csv.gz and the like; - is standard input), or a folder of clips (then
    --texts names a table name,text). Pairs are matched by key, never by order. Further columns are
    kept.

    The score is a cosine in -1..1. A calibrated model adds a predicted rating on 0..10 with its
    standard error. The column met says whether the model was trained, tuned or calibrated on the
    caption or on a copy of the clip, as far as its checkpoint remembers; such a score is the same,
    but says nothing about unseen pairs. The column note names silent clips and texts longer than
    the model reads. text_cut counts the word pieces that are not read, text_unread is the share of
    letters that the model does not know.

    After a table, stderr says for each system how many clips and prompts there are, their mean
    score with its 95 % interval over prompts, their mean predicted rating with its error, and how
    many failed; --latex and --markdown print that as a table for a paper. Exit code 1: some pairs
    could not be scored, because of their clip or because the model does not know more than half of
    the text's letters; their rows say why.

    With --runner ray SOURCE is a table, a WebDataset shard (.tar), a folder of them or a pattern,
    and every place may be an address such as s3://bucket/pairs.parquet; -o is a table or a folder
    for parts (docs/cluster.md).
    """
    if runner == "ray":
        return score_on_ray(click.get_current_context().params)
    _refuse_ray(given)
    chosen = ChosenModel.taken_from(given)
    settings = {name: given.pop(name) for name in SETTINGS}
    wanted = _Wanted(**{name: given[name] for name in _WANTED})
    wanted.check()
    pairs, further, root = wanted.pairs()
    from humanclap.clap.device import use_threads
    from humanclap.scoring.run import renamed_columns, score_table
    from humanclap.scoring.scorer import HumanCLAP

    if threads or wanted.single:
        use_threads(threads or 1)
    scorer = chosen.scorer(HumanCLAP, quiet=quiet, **settings)
    fitted = scorer.calibration
    if fitted is not None and fitted.guess:
        told = f"predicted ratings were fitted on {fitted.n} pairs; their errors are a guess"
        remark(told, quiet=quiet)
    with progress_bar("scoring", quiet=quiet) as progress:
        scores = score_table(
            scorer,
            pairs,
            audio_root=root,
            output=wanted.table,
            restart=given["restart"],
            further=further,
            progress=progress,
        )
    wanted.print(scores, further)
    warn_of_language(scorer.backbone, [item.text for item in scores if item.error is None])
    warn_of_notes(scores)
    remark_renamed(renamed_columns(further), quiet)
    wanted.summarise(scores, scorer, quiet)
    return report(scores, scorer.signature, wanted.output, quiet)


def _refuse_ray(given: Mapping[str, Any]) -> None:
    if given["workers"] or given["shard_rows"] or given["ray_address"]:
        raise click.UsageError("--ray-address, --workers and --shard-rows are for --runner ray")
    for name in ("source", "audio_root", "output"):
        if isinstance(given[name], str):
            raise click.UsageError(f"{given[name]}: an address is for --runner ray")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What to score, and what to write: the options of the command of these names."""

    source: Path
    text: str | None
    texts: Path | None
    audio_root: Path | None
    allow_unmatched: bool
    latex: bool
    markdown: bool
    figures: Path | None
    as_json: bool
    output: Path | None

    @property
    def single(self) -> bool:
        """Whether it is one clip with one text."""
        return self.text is not None

    @property
    def paper(self) -> Format | None:
        """The format of a table for a paper, where that is the result."""
        return paper_format(
            self.output, latex=self.latex, markdown=self.markdown, as_json=self.as_json
        )

    @property
    def is_summary(self) -> bool:
        """Whether the output is a table for a paper by its name."""
        return self.output is not None and suffix_of(self.output) in SUFFIXES

    @property
    def table(self) -> Path | None:
        """The table of scores that is written as the run goes on; None where there is none."""
        output = self.output
        if output is None or self.is_summary or str(output) == STANDARD or self.as_json:
            return None
        return None if self.single and not suffix_of(output) else output

    def check(self) -> None:
        """Refuse, before anything is loaded, what cannot be written."""
        output = self.output
        if output is not None and output.is_dir():
            raise InputError(f"{output}: is a folder; name a file")
        paper = self.paper  # refuses two formats
        if self.single and (paper or self.figures):
            raise click.UsageError("--latex, --markdown and --figures are for a table of pairs")
        named = output is not None and (not self.single or suffix_of(output))
        if output is not None and named and not self.as_json and not self.is_summary:
            check_output(output)
        check_figures(self.figures)

    def pairs(self) -> tuple[Sequence[Pair], Further, Path]:
        """What to score, further cells of its table, and where its relative paths start."""
        from humanclap.scoring.manifest import pairs_of_folder
        from humanclap.tables import read_manifest

        source, texts = self.source, self.texts
        if self.text is not None:
            return [Pair(audio=str(source), text=self.text)], {}, self.audio_root or Path()
        if source.is_dir():
            if texts is None:
                raise InputError(f"{source}: a folder needs its texts: --texts TABLE (name,text)")
            found = pairs_of_folder(source, texts, allow_unmatched=self.allow_unmatched)
            return *found, source
        if str(source) != STANDARD and suffix_of(source) not in TABLE_SUFFIXES:
            raise InputError(
                f'{source}: give the clip\'s text too (humanclap score {source.name} "a text"), '
                f"or a table ({', '.join(TABLE_SUFFIXES)})"
            )
        return *read_manifest(source), self.audio_root or source.parent

    def print(self, scores: Sequence[Score], further: Further) -> None:
        """Print or write the scores, unless they are in their table or not asked for."""
        if self.table is None and not self.paper:
            text = _text_of(scores, further, as_json=self.as_json, single=self.single)
            emit(text, output=None if self.is_summary else self.output)

    def summarise(self, scores: Sequence[Score], scorer: HumanCLAP, quiet: bool) -> None:
        """What the scores of a table come to, for each system."""
        if not self.single:
            file = self.output if self.is_summary else None
            kept = self.table is not None
            summarise_scores(scores, scorer, self.paper, file, self.figures, quiet, kept=kept)


_WANTED = [field.name for field in fields(_Wanted)]


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
