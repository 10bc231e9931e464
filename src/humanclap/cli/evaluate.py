"""`humanclap evaluate`: do scores agree with people?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import (
    emit,
    made_here,
    output_options,
    progress_bar,
    remark,
    tell_reading,
    text_table,
)
from humanclap.cli.paper import (
    check_figures,
    figures_option,
    is_flag,
    paper_format,
    report_options,
    written,
)

if TYPE_CHECKING:
    from humanclap.evaluation.agreement.result import Comparison, Evaluation
    from humanclap.evaluation.join import ScoreTable
    from humanclap.records import Rating
    from humanclap.scale import RatingScale

_PATH = click.Path(path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_LEVELS = ("subset", "system", "split")


@click.command(
    epilog="""\b
Examples:
  humanclap evaluate scores.csv --targets targets.csv --html report.html
  humanclap evaluate clapscore.csv ours.csv --targets targets.csv --by subset
  humanclap evaluate ours.csv --targets test.csv --ceiling kept.csv --floor train.csv
  humanclap evaluate clapscore.csv ours.csv --choices choices.csv
  humanclap evaluate ours.csv --targets test.csv -o agreement.tex --figures figures/
"""
)
@click.argument("scores", nargs=-1, type=_PATH)
@click.option(
    "--targets",
    type=_PATH,
    help="Table of human targets, as humanclap ratings aggregate writes it.",
)
@click.option(
    "--choices",
    type=_PATH,
    help="Table of people's choices or votes: adds how often the metric chooses as they do.",
)
@click.option(
    "--ceiling",
    type=_PATH,
    help="Ratings the targets were made of: adds the noise ceiling and one listener's agreement.",
)
@click.option(
    "--floor",
    type=_PATH,
    help="Targets of other pairs (a training split): adds predictors that hear nothing.",
)
@click.option("--html", type=_FILE, help="Write a self-contained HTML report.")
@click.option(
    "--audio-root",
    type=_PATH,
    help="Where relative audio paths start: adds players to the HTML report.",
)
@click.option("--link-audio", is_flag=True, help="Link the clips instead of embedding them.")
@report_options
@figures_option
@click.option(
    "--per-pair",
    type=_FILE,
    help="Write score and MOS of each pair with all columns of both tables (one score table).",
)
@click.option(
    "--key",
    type=click.Choice(["pair_id", "audio+text", "audio-name+text"]),
    default="pair_id",
    show_default=True,
    help="How rows find each other.",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(_LEVELS),
    help="Break down by this only; may be repeated.  [default: all three]",
)
@click.option(
    "--scale-map",
    type=click.Choice(["auto", "rating", "unit", "linear-fit"]),
    default="auto",
    show_default=True,
    help="How scores become ratings before MSE and MAE; auto: rating if calibrated, else unit.",
)
@click.option(
    "--rating-scale",
    help="Scale of the human ratings, as low..high; needed where no mean rating leaves 1..5 or "
    "0..1.  [default: 0..10]",
)
@click.option("--include-anchors", is_flag=True, help="Judge deliberately mismatched pairs too.")
@click.option("--allow-missing", is_flag=True, help="Report targets without a score; go on.")
@click.option("--force", is_flag=True, help="Accept scores made in unlike ways.")
@click.option(
    "--refuse-trained-on",
    is_flag=True,
    help="Stop where a metric's model met judged pairs in training (column met).",
)
@click.option(
    "--allow-shared-captions",
    is_flag=True,
    help="Let --floor hold captions that are judged (closed label sets).",
)
@click.option(
    "--replicates",
    default=1000,
    show_default=True,
    help="Number of bootstrap replicates.  With more than 20,000 pairs only groups of up to 1,000 "
    "pairs and the levels between systems and within captions are bootstrapped; the rest need no "
    "replicates.",
)
@click.option(
    "--permutations",
    default=1000,
    show_default=True,
    help="Permutations of each paired test; 0 leaves the tests out.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--note", "notes", multiple=True, help="Sentence to show above every report; may be repeated."
)
@output_options
def evaluate(
    scores: tuple[Path, ...],
    targets: Path | None,
    choices: Path | None,
    ceiling: Path | None,
    floor: Path | None,
    html: Path | None,
    audio_root: Path | None,
    link_audio: bool,
    latex: bool,
    markdown: Path | None,
    figures: Path | None,
    per_pair: Path | None,
    notes: tuple[str, ...],
    as_json: bool,
    quiet: bool,
    output: Path | None,
    **given: Any,
) -> None:
    """How well do SCORES agree with people?

    SCORES are tables of any metric (audio,text,score[,pair_id,rating,rating_error,...]); several
    are judged on the same pairs, each against the first. Correlations are with the mean rating
    (mos); intervals are 95 % bootstrap intervals clustered by caption. Missing, failed and
    duplicate rows are refused by name. Where the column met, which humanclap score writes, says
    that the metric's model met a pair's caption or clip in training, that is warned of, and the
    figures without such pairs stand beside those with them. With --floor, SCORES may be left
    out: what can be reached here without ears? --choices takes the place of --targets, or stands
    beside them: how often is the higher score on the side that people chose?
    """
    from humanclap.choices import read_votes
    from humanclap.cli.choices import evaluate_choices
    from humanclap.evaluation import EvaluationSettings, compare, json_report, write_reports
    from humanclap.evaluation.agreement.per_pair import pair_rows
    from humanclap.evaluation.report.figures import draw_evaluation
    from humanclap.evaluation.report.metric_names import by_model
    from humanclap.evaluation.report.paper import evaluation_tables
    from humanclap.tables import read_targets, write_rows
    from humanclap.typeset import typeset

    _check_what_is_given(scores, targets, choices, ceiling, floor, per_pair, audio_root)
    paper = paper_format(output, latex=latex, markdown=is_flag(markdown), as_json=as_json)
    check_figures(figures)
    stated = {name: value for name, value in given.items() if value is not None}
    settings = EvaluationSettings.from_mapping({**stated, "by": given["by"] or _LEVELS})
    if targets is None and choices is not None:
        drawn = evaluate_choices(
            _read(scores), choices, settings, notes=notes, paper=paper, figures=figures, html=html,
            markdown=None if is_flag(markdown) else markdown, as_json=as_json, output=output,
        )  # fmt: skip
        for path in filter(written, (html, markdown, output, *drawn)):
            remark(f"wrote {path}", quiet=quiet)
        return
    tell_reading([path for path in (*scores, targets, ceiling, floor) if path], quiet=quiet)
    with progress_bar("judging", quiet=quiet) as progress:
        comparison = compare(
            _read(scores),
            read_targets(str(targets)),
            settings,
            ratings=None if ceiling is None else _read_ratings(ceiling, settings.rating_scale),
            train=None if floor is None else read_targets(floor),
            votes=None if choices is None else read_votes(choices, include_anchors=True),
            votes_where=str(choices),
            targets_where=str(targets),
            ratings_where=str(ceiling),
            train_where=str(floor),
            notes=notes,
            progress=progress,
        )
    made = made_here()
    write_reports(
        by_model(comparison),
        html_path=html,
        markdown_path=None if is_flag(markdown) else markdown,
        audio_root=audio_root,
        link_audio=link_audio,
        made=made,
    )
    if per_pair is not None:
        columns = (scores[0], str(targets), settings.key)
        write_rows(per_pair, *pair_rows(comparison.evaluations[0].per_pair, *columns))
    if paper:
        text = typeset(evaluation_tables(by_model(comparison)), paper)
    else:
        text = json_report(comparison, made=made).rstrip() if as_json else _text(comparison)
    emit(text, output=output)
    drawn = [] if figures is None else draw_evaluation(by_model(comparison), figures)
    for path in filter(written, (html, markdown, per_pair, output, *drawn)):
        remark(f"wrote {path}", quiet=quiet)


def _check_what_is_given(
    scores: tuple[Path, ...],
    targets: Path | None,
    choices: Path | None,
    ceiling: Path | None,
    floor: Path | None,
    per_pair: Path | None,
    audio_root: Path | None,
) -> None:
    """Raise UsageError where there is nothing to judge, or nothing to judge it by."""
    if targets is None and choices is None:
        raise click.UsageError("Missing option '--targets' (or '--choices').")
    if not scores and floor is None and targets is not None:
        raise click.UsageError("Missing argument 'SCORES...' (only --floor does without).")
    of_ratings = {"--ceiling": ceiling, "--floor": floor, "--per-pair": per_pair,
                  "--audio-root": audio_root}  # fmt: skip
    for name, path in of_ratings.items():
        if path is not None and targets is None:
            raise click.UsageError(f"{name} is of ratings: it needs --targets")
    if per_pair is not None and len(scores) != 1:
        raise click.UsageError("--per-pair takes one score table")


def _read(paths: tuple[Path, ...]) -> list[ScoreTable]:
    """Tables named by file stem, or by path where two stems are the same."""
    from humanclap.evaluation.join import ScoreTable

    stems = Counter(path.stem for path in paths)
    return [
        ScoreTable.read(path, name=path.stem if stems[path.stem] == 1 else str(path))
        for path in paths
    ]


def _read_ratings(path: Path, scale: RatingScale) -> list[Rating]:
    from humanclap.ratings.read import read_ratings

    return read_ratings(path, scale=scale)


def _text(comparison: Comparison) -> str:
    from humanclap.cli.choices import choices_tables
    from humanclap.evaluation.report import agreement_words as words
    from humanclap.evaluation.report import sentences as told
    from humanclap.evaluation.report.choices_words import facts
    from humanclap.evaluation.report.comparability import judgement_signature

    choices = comparison.choices
    parts = list(comparison.notes)
    parts += [f"warning: {warning}" for warning in told.warnings(comparison)]
    if comparison.ceilings or comparison.trivial:
        parts.append(_overview_table(comparison))
    if comparison.differences or comparison.against_trivial:
        parts.append(_difference_table(comparison))
    parts += [] if choices is None else choices_tables(choices)
    for evaluation in comparison.metrics:
        title = f"{evaluation.name}\n" if len(comparison.metrics) > 1 else ""
        lines = [
            words.scale_map_line(evaluation),
            words.calibration_line(evaluation),
            words.intervals_line(evaluation),
            words.met_line(evaluation),
            f"signature  {words.signature_line(evaluation)}",
            f"rows       {words.rows_line(evaluation)}",
        ]
        parts.append(title + _group_table(evaluation) + "\n\n" + "\n".join(filter(None, lines)))
    ending = [words.coverage(comparison), words.bootstrap_line(comparison)]
    ending += [words.tests_line(comparison)] if comparison.tests else []
    ending.append(f"judged as  {judgement_signature(comparison)}")
    ending += [] if choices is None else facts(choices)
    undefined = [f"– {reason}" for reason in words.reasons(comparison)]
    return "\n\n".join([*parts, "\n".join([*ending, *undefined])])


def _overview_table(comparison: Comparison) -> str:
    from humanclap.evaluation.report.overview import overview

    found = overview(comparison)
    return text_table(found.columns, [row.cells for row in found.rows])


def _group_table(evaluation: Evaluation) -> str:
    from humanclap.evaluation.report.agreement_words import number, with_interval

    names = ("lcc", "ktau", "accuracy", "mse", "mae")
    rows = [
        [
            group.label,
            group.n,
            group.captions,
            with_interval(group.statistics["srcc"]),
            *(number(group.statistics[n].value) if n in group.statistics else "" for n in names),
        ]
        for group in (*evaluation.groups, *evaluation.levels, *evaluation.without)
    ]
    heads = ["", "n", "captions", "SRCC", "LCC", "KTAU", "pairwise", "MSE", "MAE"]
    return text_table(heads, rows)


def _difference_table(comparison: Comparison) -> str:
    from humanclap.evaluation.report.agreement_words import p_value, signed

    names = ("srcc", "lcc", "ktau")
    rows = []
    for difference in (*comparison.differences, *comparison.against_trivial):
        test = comparison.test(difference.name, difference.baseline)
        for group in (*difference.groups, *difference.levels):
            values = [signed(group.statistics[n]) if n in group.statistics else "" for n in names]
            p = p_value(test) if test is not None and group.level == "overall" else ""
            label = f"{difference.name} - {difference.baseline}"
            rows.append([label, group.label, group.n, *values, p])
    heads = [f"Δ {name.upper()}" for name in names]
    return text_table(["difference", "", "n", *heads, "p of SRCC"], rows)
