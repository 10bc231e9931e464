"""A judgement by choices alone: JSON, Markdown, and the files of them."""

from __future__ import annotations

from pathlib import Path

from humanclap.evaluation.choices.accuracy_result import JudgedChoices
from humanclap.evaluation.report import choices_words as words
from humanclap.evaluation.report.choices_page import html_choices
from humanclap.evaluation.report.comparability import choices_signature
from humanclap.evaluation.report.files import made_lines
from humanclap.files import atomic_writer
from humanclap.json_values import to_json
from humanclap.made import Made, made_now
from humanclap.typeset import markdown_cell, markdown_table


def write_choice_reports(
    judged: JudgedChoices,
    *,
    markdown_path: Path | None = None,
    html_path: Path | None = None,
    made: Made | None = None,
) -> None:
    """Write the reports that have a path, each whole or not at all. Raises OSError.

    made: command, date and versions they name, None: those of now.
    """
    made = made or made_now()
    for path, render in ((markdown_path, markdown_choices), (html_path, html_choices)):
        if path is not None:
            text = render(judged, made=made)
            with atomic_writer(path) as file:
                file.write(text)


def json_choices(judged: JudgedChoices, *, made: Made | None = None) -> str:
    """The judgement as JSON; an undefined number is null, with its `reason` beside it."""
    found = {
        "made": (made or made_now()).to_dict(),
        "notes": list(judged.notes),
        "warnings": words.warnings(judged),
        "choices": {"signature": choices_signature(judged), **judged.to_dict()},
    }
    return to_json(found) + "\n"


def markdown_choices(judged: JudgedChoices, *, made: Made | None = None) -> str:
    """The whole judgement; text of the input is escaped."""
    lines = [f"# {markdown_cell(words.title(judged))}", ""]
    for note in judged.notes:
        lines += [f"> **{markdown_cell(note)}**", ""]
    for warning in words.warnings(judged):
        lines += [f"> **Warning:** {markdown_cell(warning)}", ""]
    lines += [f"- {markdown_cell(sentence)}" for sentence in words.summary(judged)] + [""]
    for title, (heads, rows) in words.sections(judged):
        lines += [f"## {title}", "", *markdown_table(heads, rows)]
    lines += [f"- {markdown_cell(fact)}" for fact in words.facts(judged)]
    lines += ["", "How this was made:", ""]
    return "\n".join([*lines, *made_lines(made or made_now(), words.models(judged)), ""])
