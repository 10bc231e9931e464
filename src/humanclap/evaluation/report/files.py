"""Reports of a comparison: JSON for programs, Markdown for a repository, see `page` for HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from humanclap.evaluation.agreement.result import (
    HEADINGS,
    STATISTICS,
    Comparison,
    Difference,
    Evaluation,
    Group,
)
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report import choices_words as choice_words
from humanclap.evaluation.report import sentences as told
from humanclap.evaluation.report.agreement_page import html_report
from humanclap.evaluation.report.comparability import choices_signature, judgement_signature
from humanclap.evaluation.report.overview import overview
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.made import Made, made_now
from humanclap.typeset import markdown_cell, markdown_table


def write_reports(
    comparison: Comparison,
    *,
    json_path: str | Path | None = None,
    markdown_path: str | Path | None = None,
    html_path: str | Path | None = None,
    audio_root: str | Path | None = None,
    link_audio: bool = False,
    made: Made | None = None,
) -> None:
    """Write the reports that have a path, each whole or not at all. Raises OSError.

    audio_root: where the clips are, for players in the HTML report; link_audio: link them there
    instead of holding them in the page; made: command, date and versions they name, None: those
    of now.
    """
    made = made or made_now()

    folder = Path(html_path).resolve().parent if link_audio and html_path else None
    root = Path(audio_root).resolve() if audio_root is not None else None
    renderers: tuple[tuple[str | Path | None, Callable[[], str]], ...] = (
        (json_path, partial(json_report, comparison, made=made)),
        (markdown_path, partial(markdown_report, comparison, made=made)),
        (html_path, partial(html_report, comparison, audio_root=root, link_from=folder, made=made)),
    )
    for path, render in renderers:
        if path is not None:
            text = render()
            with atomic_writer(path) as file:
                file.write(text)


def json_report(comparison: Comparison, *, made: Made | None = None) -> str:
    """The whole comparison as JSON; an undefined number is null, with its `reason` beside it.

    made: as `write_reports` has it.
    """
    found = {
        "signature": judgement_signature(comparison),
        "made": (made or made_now()).to_dict(),
        "warnings": told.warnings(comparison),
        **comparison.to_dict(),
    }
    if (choices := comparison.choices) is not None:
        found["choices"] = {"signature": choices_signature(choices), **choices.to_dict()}
    return to_json(found) + "\n"


def markdown_report(comparison: Comparison, *, made: Made | None = None) -> str:
    """Summary in words, then tables. Names from the input are escaped; made: as `write_reports`."""
    lines = [f"# {markdown_cell(words.title(comparison))}", ""]
    for note in comparison.notes:
        lines += [f"> **{markdown_cell(note)}**", ""]
    for warning in told.warnings(comparison):
        lines += [f"> **Warning:** {markdown_cell(warning)}", ""]
    lines += [f"- {markdown_cell(sentence)}" for sentence in told.summary(comparison)] + [""]
    lines += ["## Ceiling, metrics, floor", "", *_overview(comparison)]
    for title, differences in _difference_sections(comparison):
        lines += [f"## {markdown_cell(title)}", "", *_differences(comparison, differences)]
    lines += _choices(comparison)
    for evaluation in comparison.metrics or comparison.evaluations:
        lines += [f"## {markdown_cell(evaluation.name)}", "", *_groups(evaluation)]
        facts = [
            words.scale_map_line(evaluation),
            words.calibration_line(evaluation),
            words.intervals_line(evaluation),
            words.met_line(evaluation),
            f"Signature: {words.signature_line(evaluation)}",
            f"Rows: {words.rows_line(evaluation)}",
        ]
        lines += [*(f"- {markdown_cell(fact)}" for fact in facts if fact), ""]
    lines.append(f"{markdown_cell(words.bootstrap_line(comparison))}.")
    if comparison.tests:
        lines += ["", f"{markdown_cell(words.tests_line(comparison))}."]
    lines += ["", f"Judged as `{markdown_cell(judgement_signature(comparison))}`"]
    reasons = words.reasons(comparison)
    if reasons:
        lines += ["", "Undefined:", "", *(f"- {markdown_cell(reason)}" for reason in reasons)]
    lines += [
        "",
        "How this was made:",
        "",
        *made_lines(made or made_now(), words.models(comparison)),
    ]
    return "\n".join(lines) + "\n"


def made_lines(made: Made, models: Sequence[str]) -> list[str]:
    """Models, command, date and versions as a Markdown list."""
    facts = [f"Model: {markdown_cell(model)}" for model in models]
    if made.command:
        facts.append(f"Command: {markdown_cell(made.command)}")
    facts += [f"Date: {made.date}", f"Versions: {markdown_cell(made.software)}"]
    return [f"- {fact}" for fact in facts]


def _choices(comparison: Comparison) -> list[str]:
    if comparison.choices is None:
        return []
    lines = []
    for title, (heads, rows) in choice_words.sections(comparison.choices):
        lines += [f"## {title}", "", *markdown_table(heads, rows)]
    facts = choice_words.facts(comparison.choices)
    return [*lines, *(f"- {markdown_cell(fact)}" for fact in facts), ""]


def _overview(comparison: Comparison) -> list[str]:
    found = overview(comparison)
    return markdown_table(found.columns, [row.cells for row in found.rows])


def _difference_sections(comparison: Comparison) -> list[tuple[str, Sequence[Difference]]]:
    sections = [
        (f"Against {comparison.evaluations[0].name}", comparison.differences),
        ("Against the best trivial predictor", comparison.against_trivial),
    ]
    return [(title, differences) for title, differences in sections if differences]


def _groups(evaluation: Evaluation) -> list[str]:
    columns = ["", "n", "captions", *(HEADINGS[name] for name in STATISTICS)]
    rows = [
        [
            group.label,
            f"{group.n:,}",
            f"{group.captions:,}",
            *(_value(group, name) for name in STATISTICS),
        ]
        for group in (*evaluation.groups, *evaluation.levels, *evaluation.without)
    ]
    return markdown_table(columns, rows)


def _value(group: Group, name: str) -> str:
    return words.with_interval(group.statistics[name]) if name in group.statistics else ""


def _differences(comparison: Comparison, differences: Sequence[Difference]) -> list[str]:
    columns = ["", "pairs", "n", *(f"Δ {HEADINGS[name]}" for name in STATISTICS), "p of SRCC"]
    rows = []
    for difference in differences:
        test = comparison.test(difference.name, difference.baseline)
        for group in (*difference.groups, *difference.levels):
            values = [
                words.signed(group.statistics[name]) if name in group.statistics else ""
                for name in STATISTICS
            ]
            p = words.p_value(test) if test is not None and group.level == "overall" else ""
            name = f"{difference.name} - {difference.baseline}"
            rows.append([name, group.label, f"{group.n:,}", *values, p])
    return markdown_table(columns, rows)
