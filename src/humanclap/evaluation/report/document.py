"""A report before it has a form, and its forms: Markdown, a page, lines for a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from humanclap.evaluation.markup import html
from humanclap.files import atomic_writer
from humanclap.provenance import Provenance
from humanclap.typeset import markdown_cell, markdown_table

Rows = tuple[Sequence[str], Sequence[Sequence[str]]]
"""Headings of a table, and its rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled table. kinds: class of each row on a page; after: markup below it there."""

    title: str
    rows: Rows
    kinds: Sequence[str] | None = None
    after: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """What a report says, as plain text but for `picture`, which is markup.

    about: how much data it is based on; headline: the findings that open a page; caveats: what
    to know beside the warnings; facts: how the figures were made; models: of the scores.
    """

    title: str
    about: str
    notes: Sequence[str]
    headline: Sequence[str]
    picture: str
    warnings: Sequence[str]
    findings: Sequence[str]
    sections: Sequence[Section]
    facts: Sequence[str]
    made: Provenance
    caveats: Sequence[str] = ()
    models: Sequence[str] = ()
    linked_audio: bool = False

    def markdown(self) -> str:
        """The whole report; every text is escaped."""
        lines = markdown_opening(self.title, self.notes, self.warnings, self.findings)
        lines += markdown_list(self.caveats)
        lines += markdown_sections(self.sections) + markdown_list(self.facts)
        return "\n".join([*lines, *how_made(self.made, self.models)]) + "\n"

    def page(self) -> str:
        """The report as one HTML document without outside references."""
        body = html.opening(
            self.title,
            about=f"{self.about} · {self.made.date}",
            notes=self.notes,
            headline=self.headline,
            picture=self.picture,
            warnings=[
                *self.warnings,
                *(caveat for caveat in self.caveats if caveat not in self.headline),
            ],
        )
        body += ["<h2>Findings</h2>", html.bullets("findings", self.findings)]
        body += page_sections(self.sections)
        body.append("<h2>How this was computed</h2>" + html.bullets("facts", self.facts))
        body.append(html.how_made(self.made, self.models))
        return html.document(self.title, body, linked_audio=self.linked_audio)

    def text(self, table: Callable[[Sequence[str], Sequence[Sequence[str]]], str]) -> str:
        """For a terminal; table: writes the rows of one."""
        told = [*self.notes, *(f"warning: {warning}" for warning in self.warnings)]
        told += [*self.findings, *(f"note: {caveat}" for caveat in self.caveats)]
        tables = [f"{section.title}\n{table(*section.rows)}" for section in self.sections]
        return "\n\n".join(["\n".join(told), *tables, "\n".join(self.facts)])


def page_sections(sections: Iterable[Section]) -> list[str]:
    """Tables below their titles, as markup."""
    return [
        f"<h2>{escape(section.title, quote=False)}</h2>"
        + html.table(*section.rows, kinds=section.kinds)
        + section.after
        for section in sections
    ]


def markdown_opening(
    title: str, notes: Iterable[str], warnings: Iterable[str], findings: Iterable[str]
) -> list[str]:
    """Lines that every Markdown report begins with."""
    lines = [f"# {markdown_cell(title)}", ""]
    for note in notes:
        lines += [f"> **{markdown_cell(note)}**", ""]
    for warning in warnings:
        lines += [f"> **Warning:** {markdown_cell(warning)}", ""]
    return lines + markdown_list(findings)


def markdown_sections(sections: Iterable[Section]) -> list[str]:
    """Tables below their titles."""
    return [
        line
        for section in sections
        for line in (f"## {markdown_cell(section.title)}", "", *markdown_table(*section.rows))
    ]


def markdown_list(items: Iterable[str]) -> list[str]:
    """Items of a list and an empty line; nothing where there are none."""
    lines = [f"- {markdown_cell(item)}" for item in items]
    return [*lines, ""] if lines else []


def how_made(made: Provenance, models: Sequence[str]) -> list[str]:
    """The end of every Markdown report: models, command, date and versions."""
    facts = [f"Model: {model}" for model in models]
    facts += [f"Command: {made.command}"] if made.command else []
    facts += [f"Date: {made.date}", f"Versions: {made.software}"]
    return ["How this was made:", "", *markdown_list(facts)[:-1]]


def write_whole(reports: Iterable[tuple[str | Path | None, Callable[[], str]]]) -> None:
    """Write each report that has a path, whole or not at all. Raises OSError."""
    for path, render in reports:
        if path is not None:
            text = render()
            with atomic_writer(path) as file:
                file.write(text)
