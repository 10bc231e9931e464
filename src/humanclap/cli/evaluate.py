"""`humanclap evaluate`: do scores agree with people?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from humanclap.cli.console import made_here, progress_bar, tell_reading, text_table
from humanclap.cli.judging_options import (
    FILE,
    PATH,
    Forms,
    Results,
    force_option,
    refuse_trained_on_option,
    replicates_option,
    result_options,
    seed_option,
)

if TYPE_CHECKING:
    from humanclap.evaluation.agreement.result import Comparison, Evaluation
    from humanclap.evaluation.join import ScoreTable
    from humanclap.evaluation.settings import EvaluationSettings

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
@click.argument("scores", nargs=-1, type=PATH)
@click.option(
    "--targets",
    type=PATH,
    help="Table of human targets, as humanclap ratings aggregate writes it.",
)
@click.option(
    "--choices",
    type=PATH,
    help="Table of people's choices or votes: adds how often the metric chooses as they do.",
)
@click.option(
    "--ceiling",
    type=PATH,
    help="Ratings the targets were made of: adds the noise ceiling and one listener's agreement.",
)
@click.option(
    "--floor",
    type=PATH,
    help="Targets of other pairs (a training split): adds predictors that hear nothing.",
)
@click.option(
    "--per-pair",
    type=FILE,
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
@force_option
@refuse_trained_on_option(
    help="Stop where a metric's model met judged pairs in training (column met)."
)
@click.option(
    "--allow-shared-captions",
    is_flag=True,
    help="Let --floor hold captions that are judged (closed label sets).",
)
@replicates_option(
    1000,
    "  With more than 20,000 pairs only groups of up to 1,000 pairs and the levels between systems "
    "and within captions are bootstrapped; the rest need no replicates.",
)
@click.option(
    "--permutations",
    default=1000,
    show_default=True,
    help="Permutations of each paired test; 0 leaves the tests out.",
)
@seed_option()
@result_options
def evaluate(
    scores: tuple[Path, ...],
    targets: Path | None,
    choices: Path | None,
    ceiling: Path | None,
    floor: Path | None,
    per_pair: Path | None,
    notes: tuple[str, ...],
    **given: Any,
) -> None:
    """How well do SCORES agree with people?

    SCORES are tables of any metric (audio,text,score[,pair_id,rating,rating_error,...]); several
    are judged on the same pairs, each against the first. Correlations are with the mean rating
    (mos); intervals are 95 % bootstrap intervals clustered by caption. Missing, failed and
    duplicate rows are refused by name. humanclap score writes the column met. Where it says that
    the metric's model met a pair's caption or clip in training, the report warns of it and shows
    the figures without such pairs too. With --floor you may leave SCORES out: what can be reached
    without listening? Give --choices in place of --targets or beside them: how often is the
    higher score on the side that people chose?
    """
    from humanclap.evaluation.agreement.per_pair import pair_rows
    from humanclap.evaluation.settings import EvaluationSettings
    from humanclap.tables import write_rows

    read = {"--ceiling": ceiling, "--floor": floor, "--per-pair": per_pair}
    _check_what_is_given(scores, targets, choices, {**read, "--audio-root": given["audio_root"]})
    results = Results.of(given)
    stated = {name: value for name, value in given.items() if value is not None}
    settings = EvaluationSettings.from_mapping({**stated, "by": given["by"] or _LEVELS})
    if targets is None:
        results.write(_by_choices(scores, choices, settings, notes))
        return
    paths = {"targets": targets, "choices": choices, "ceiling": ceiling, "floor": floor}
    comparison = _compared(scores, paths, settings, notes, quiet=results.quiet)
    if per_pair is not None:
        pairs = comparison.evaluations[0].per_pair
        write_rows(per_pair, *pair_rows(pairs, scores[0], str(targets), settings.key))
    results.write(_forms(comparison, results), per_pair)


def _compared(
    scores: tuple[Path, ...],
    paths: Mapping[str, Path | None],
    settings: EvaluationSettings,
    notes: tuple[str, ...],
    *,
    quiet: bool,
) -> Comparison:
    from humanclap.choices import read_votes
    from humanclap.evaluation import compare
    from humanclap.ratings.read import read_ratings
    from humanclap.tables import read_targets

    targets, choices, ceiling, floor = paths.values()
    tell_reading([path for path in (*scores, targets, ceiling, floor) if path], quiet=quiet)
    with progress_bar("judging", quiet=quiet) as progress:
        return compare(
            _read(scores),
            read_targets(str(targets)),
            settings,
            ratings=None if ceiling is None else read_ratings(ceiling, scale=settings.rating_scale),
            train=None if floor is None else read_targets(floor),
            votes=None if choices is None else read_votes(choices, include_anchors=True),
            votes_where=str(choices),
            targets_where=str(targets),
            ratings_where=str(ceiling),
            train_where=str(floor),
            notes=notes,
            progress=progress,
        )


def _forms(comparison: Comparison, results: Results) -> Forms:
    from humanclap.evaluation import html_report, json_report, markdown_report
    from humanclap.evaluation.report.figures import draw_evaluation
    from humanclap.evaluation.report.metric_names import by_model
    from humanclap.evaluation.report.paper import evaluation_tables

    made, named = made_here(), by_model(comparison)
    return Forms(
        page=partial(html_report, named, made=made, **results.sound),
        markdown=partial(markdown_report, named, made=made),
        json=partial(json_report, comparison, made=made),
        text=partial(_text, comparison),
        tables=partial(evaluation_tables, named),
        draw=partial(draw_evaluation, named),
    )


def _by_choices(
    scores: tuple[Path, ...],
    choices: Path | None,
    settings: EvaluationSettings,
    notes: tuple[str, ...],
) -> Forms:
    """Judge score tables by choices alone."""
    from humanclap.choices import read_votes
    from humanclap.evaluation.choices import judge_choices
    from humanclap.evaluation.report.choices_paper import choice_tables, draw_choices
    from humanclap.evaluation.report.choices_report import choices_document, json_choices
    from humanclap.evaluation.report.metric_names import choices_by_model

    votes = read_votes(str(choices), include_anchors=True)
    judged = judge_choices(_read(scores), votes, settings, where=str(choices), notes=notes)
    made, named = made_here(), choices_by_model(judged)
    document = choices_document(named, made=made)
    return Forms(
        page=document.page,
        markdown=document.markdown,
        json=partial(json_choices, judged, made=made),
        text=partial(choices_document(judged, made=made).text, text_table),
        tables=partial(choice_tables, named),
        draw=partial(draw_choices, named),
    )


def _check_what_is_given(
    scores: tuple[Path, ...],
    targets: Path | None,
    choices: Path | None,
    of_ratings: Mapping[str, Path | None],
) -> None:
    """Raise UsageError where there is nothing to judge, or nothing to judge it by."""
    if targets is None and choices is None:
        raise click.UsageError("Missing option '--targets' (or '--choices').")
    if not scores and of_ratings["--floor"] is None and targets is not None:
        raise click.UsageError("Missing argument 'SCORES...' (only --floor does without).")
    for name, path in of_ratings.items():
        if path is not None and targets is None:
            raise click.UsageError(f"{name} is of ratings: it needs --targets")
    if of_ratings["--per-pair"] is not None and len(scores) != 1:
        raise click.UsageError("--per-pair takes one score table")


def _read(paths: tuple[Path, ...]) -> list[ScoreTable]:
    """Tables named by file stem, or by path where two stems are the same."""
    from humanclap.evaluation.join import ScoreTable

    stems = Counter(path.stem for path in paths)
    return [
        ScoreTable.read(path, name=path.stem if stems[path.stem] == 1 else str(path))
        for path in paths
    ]


def _text(comparison: Comparison) -> str:
    from humanclap.evaluation.report import agreement_words as words
    from humanclap.evaluation.report import choices_words
    from humanclap.evaluation.report.comparability import judgement_signature
    from humanclap.evaluation.report.overview import overview

    choices = comparison.choices
    parts = list(comparison.notes)
    parts += [f"warning: {warning}" for warning in words.every_warning(comparison)]
    if comparison.ceilings or comparison.trivial:
        parts.append(text_table(*overview(comparison).rows))
    if comparison.differences or comparison.against_trivial:
        parts.append(_difference_table(comparison))
    if choices is not None:
        for section in choices_words.sections(choices):
            parts.append(f"{section.title}\n{text_table(*section.rows)}")
    for evaluation in comparison.metrics:
        title = f"{evaluation.name}\n" if len(comparison.metrics) > 1 else ""
        lines = "\n".join(words.metric_lines(evaluation))
        parts.append(f"{title}{_group_table(evaluation)}\n\n{lines}")
    ending = [words.coverage(comparison), words.bootstrap_line(comparison)]
    ending += [words.tests_line(comparison)] if comparison.tests else []
    ending.append(f"Judged as: {judgement_signature(comparison)}")
    ending += [] if choices is None else choices_words.facts(choices)
    undefined = [f"– {reason}" for reason in words.reasons(comparison)]
    return "\n\n".join([*parts, "\n".join([*ending, *undefined])])


def _group_table(evaluation: Evaluation) -> str:
    from humanclap.evaluation.agreement.result import HEADINGS
    from humanclap.evaluation.report.agreement_rows import cells, places
    from humanclap.evaluation.short_forms import number, with_interval

    names = ("lcc", "ktau", "accuracy", "mse", "mae")
    rows = [
        [
            group.label,
            group.n,
            group.captions,
            with_interval(group.statistics["srcc"]),
            *cells(group, names, lambda found: number(found.value)),
        ]
        for group in places(evaluation)
    ]
    return text_table(["", "n", "captions", "SRCC", *(HEADINGS[name] for name in names)], rows)


def _difference_table(comparison: Comparison) -> str:
    from humanclap.evaluation.report.agreement_rows import difference_rows, places

    differences = (*comparison.differences, *comparison.against_trivial)
    heads, rows = difference_rows(comparison, differences, ("srcc", "lcc", "ktau"))
    counts = [group.n for difference in differences for group in places(difference)]
    return text_table(heads, [[*row[:2], n, *row[3:]] for row, n in zip(rows, counts, strict=True)])
