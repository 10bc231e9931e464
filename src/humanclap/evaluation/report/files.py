"""Reports of a comparison: JSON for programs, Markdown for a repository, and all files of one."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from humanclap.evaluation.agreement.result import Comparison
from humanclap.evaluation.report import agreement_words as words
from humanclap.evaluation.report import choices_words as choice_words
from humanclap.evaluation.report.agreement_page import html_report
from humanclap.evaluation.report.agreement_rows import difference_rows, group_rows
from humanclap.evaluation.report.comparability import choices_signature, judgement_signature
from humanclap.evaluation.report.document import (
    Section,
    how_made,
    markdown_list,
    markdown_opening,
    markdown_sections,
    write_whole,
)
from humanclap.evaluation.report.overview import overview
from humanclap.json_values import to_json
from humanclap.provenance import Provenance, provenance_now
from humanclap.typeset import markdown_cell


def write_reports(
    comparison: Comparison,
    *,
    json_path: str | Path | None = None,
    markdown_path: str | Path | None = None,
    html_path: str | Path | None = None,
    audio_root: str | Path | None = None,
    link_audio: bool = False,
    made: Provenance | None = None,
) -> None:
    """Write the reports that have a path, each whole or not at all. Raises OSError.

    audio_root: where the clips are, for players in the HTML report; link_audio: link them there
    instead of holding them in the page; made: command, date and versions they name, None: those
    of now.
    """
    made = made or provenance_now()
    folder = Path(html_path).resolve().parent if link_audio and html_path else None
    root = Path(audio_root).resolve() if audio_root is not None else None
    page = partial(html_report, comparison, audio_root=root, link_from=folder, made=made)
    write_whole(
        (
            (json_path, partial(json_report, comparison, made=made)),
            (markdown_path, partial(markdown_report, comparison, made=made)),
            (html_path, page),
        )
    )


def json_report(comparison: Comparison, *, made: Provenance | None = None) -> str:
    """The whole comparison as JSON; an undefined number is null, with its `reason` beside it.

    made: as `write_reports` has it.
    """
    found = {
        "signature": judgement_signature(comparison),
        "made": (made or provenance_now()).to_dict(),
        "warnings": words.every_warning(comparison),
        **comparison.to_dict(),
    }
    if (choices := comparison.choices) is not None:
        found["choices"] = {"signature": choices_signature(choices), **choices.to_dict()}
    return to_json(found) + "\n"


def markdown_report(comparison: Comparison, *, made: Provenance | None = None) -> str:
    """Summary in words, then tables. Names from the input are escaped; made: as `write_reports`."""
    lines = markdown_opening(
        words.title(comparison),
        comparison.notes,
        words.every_warning(comparison),
        words.summary(comparison),
    )
    lines += markdown_sections(_sections(comparison))
    if comparison.choices is not None:
        lines += markdown_sections(choice_words.sections(comparison.choices))
        lines += markdown_list(choice_words.facts(comparison.choices))
    for evaluation in comparison.metrics or comparison.evaluations:
        lines += markdown_sections([Section(title=evaluation.name, rows=group_rows(evaluation))])
        lines += markdown_list(words.metric_lines(evaluation))
    lines.append(f"{markdown_cell(words.bootstrap_line(comparison))}.")
    if comparison.tests:
        lines += ["", f"{markdown_cell(words.tests_line(comparison))}."]
    lines += ["", f"Judged as `{markdown_cell(judgement_signature(comparison))}`"]
    reasons = words.reasons(comparison)
    if reasons:
        lines += ["", "Undefined:", "", *markdown_list(reasons)[:-1]]
    lines += ["", *how_made(made or provenance_now(), words.models(comparison))]
    return "\n".join(lines) + "\n"


def _sections(comparison: Comparison) -> list[Section]:
    """SRCC of everything by place, then the differences there are."""
    sections = [overview(comparison)]
    for baseline, differences in (
        (comparison.evaluations[0].name, comparison.differences),
        ("the best trivial predictor", comparison.against_trivial),
    ):
        if differences:
            rows = difference_rows(comparison, differences)
            sections.append(Section(title=f"Against {baseline}", rows=rows))
    return sections
