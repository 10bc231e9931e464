"""Tables for a paper: one record, written as LaTeX (booktabs) or as Markdown."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

Format = Literal["latex", "markdown"]

SUFFIXES: dict[str, Format] = {".tex": "latex", ".md": "markdown", ".markdown": "markdown"}
"""Suffix of a file -> the format of the tables in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """A table as it stands in a paper.

    caption: what the figures are, with their units and n; label: a short name for references, as
    `scores` in `tab:scores`; columns: headings; rows: as many cells each, plain text; notes: below
    the table, such as the signature of the scores.
    """

    caption: str
    label: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()


def typeset(tables: Sequence[PaperTable], form: Format) -> str:
    """The tables in one text, without a newline at its end."""
    return latex(tables) if form == "latex" else markdown(tables)


# -- LaTeX ----------------------------------------------------------------------------------

_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "%": r"\%",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}\allowbreak{}",
    "−": "$-$", "±": r"$\pm$", "×": r"$\times$", "≤": r"$\leq$", "≥": r"$\geq$", "≈": r"$\approx$",
    "Δ": r"$\Delta$", "∞": r"$\infty$", "·": r"$\cdot$", "°": r"$^{\circ}$", "µ": r"$\mu$",
    "→": r"$\rightarrow$", "–": "--", "—": "---", "…": r"\ldots{}", "‘": "`", "’": "'",
    "“": "``", "”": "''",
}  # fmt: skip
_JOINED = {"--", "``", "''", ",,", "?`", "!`"}
"""Two signs that LaTeX would set as one."""
_PACKAGES = (
    r"% needs \usepackage{booktabs} and \usepackage[T1]{fontenc}; where a table is too wide: table*"
)
_LAST_KNOWN = "\u017f"
"""The last letter that pdfLaTeX typesets without another package: the end of Latin Extended-A."""
_NUMBER = re.compile(r"[+\-−–<.\d].*|")
_MINUS = re.compile(r"(?<![^\s\[(])-(?=\.?\d)")
"""The hyphen before a number."""
_INTERVAL = re.compile(r"(.*\d) (\[[^\[\]]*\])")


def latex(tables: Sequence[PaperTable]) -> str:
    r"""Tables with booktabs' rules; every sign of the text that LaTeX would read is escaped.

    Letters beyond Latin stay as they are, and a comment names them: pdfLaTeX has none of them,
    LuaLaTeX and XeLaTeX have those of the font.
    """
    body = "\n\n".join(map(_latex_table, tables))
    return "\n".join([_PACKAGES, *_foreign(tables), body])


def latex_text(text: str) -> str:
    r"""Text as LaTeX shows it, on one line; signs that cannot be shown as `\x07`.

    >>> print(latex_text("50 % of R&D_2, −0.1 ± 0.2"))
    50 \% of R\&D\_2, $-$0.1 $\pm$ 0.2
    """
    composed = _MINUS.sub("−", unicodedata.normalize("NFC", " ".join(text.split())))
    found, before = [], ""
    for sign in "".join(map(_shown, composed)):
        found += ["{}"] * (before + sign in _JOINED) + [_LATEX.get(sign, sign)]
        before = sign
    return "".join(found)


def _shown(sign: str) -> str:
    """The sign, or the escape of one that no font has."""
    if unicodedata.category(sign) in {"Cc", "Cf", "Cs", "Co", "Cn"}:
        return sign.encode("unicode_escape", "surrogatepass").decode("ascii")
    return sign


def _foreign(tables: Sequence[PaperTable]) -> list[str]:
    """A comment that names the letters which pdfLaTeX does not know."""
    texts = (
        text
        for table in tables
        for text in (table.caption, *table.columns, *chain(*table.rows), *table.notes)
    )
    composed = unicodedata.normalize("NFC", "".join(texts))
    found = sorted({s for s in composed if s > _LAST_KNOWN and s not in _LATEX and _shown(s) == s})
    if not found:
        return []
    return [
        f"% pdfLaTeX does not know {' '.join(found)} : compile with LuaLaTeX or XeLaTeX and a font "
        "that has them"
    ]


def _latex_table(table: PaperTable) -> str:
    align = "".join(map(_align, zip(*table.rows, strict=True))) if table.rows else ""
    align = align or "l" * len(table.columns)
    notes = [
        r"  \par\smallskip",
        rf"  {{\footnotesize\raggedright {' '.join(map(latex_text, table.notes))}\par}}",
    ]
    return "\n".join(
        [
            r"\begin{table}[t]",
            r"  \centering",
            rf"  \caption{{{latex_text(table.caption)}}}",
            rf"  \label{{tab:{re.sub(r'[^a-z0-9-]+', '-', table.label.lower())}}}",
            rf"  \begin{{tabular}}{{{align}}}",
            r"    \toprule",
            _latex_row(table.columns),
            r"    \midrule",
            *map(_latex_row, table.rows),
            r"    \bottomrule",
            r"  \end{tabular}",
            *(notes if table.notes else []),
            r"\end{table}",
        ]
    )


def _latex_row(cells: Sequence[str]) -> str:
    row = " & ".join(map(_latex_cell, cells))
    start = "{}" if row[:1] in {"[", "*"} else ""  # else an argument of the `\\` before
    return rf"    {start}{row} \\"


def _latex_cell(cell: str) -> str:
    """The cell, an interval behind its number smaller, so that more columns fit."""
    found = _INTERVAL.fullmatch(cell)
    if not found:
        return latex_text(cell)
    return rf"{latex_text(found[1])} {{\scriptsize {latex_text(found[2])}}}"


def _align(cells: Sequence[str]) -> str:
    return "r" if all(_NUMBER.fullmatch(cell) for cell in cells) else "l"


# -- Markdown -------------------------------------------------------------------------------

_MARKDOWN = {"\\": r"\\", "&": "&amp;", "<": "&lt;", ">": "&gt;", "|": r"\|", "*": r"\*",
             "`": r"\`", "~": r"\~"}  # fmt: skip
_EMPHASIS = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
"""An underscore at the edge of a word, where it would set the word in italics."""


def markdown(tables: Sequence[PaperTable]) -> str:
    """Tables with their caption above and their notes below; cells are escaped."""
    return "\n\n".join("\n".join(_markdown_lines(table)) for table in tables)


def _markdown_lines(table: PaperTable) -> list[str]:
    lines = [f"**{markdown_cell(table.caption)}**", "", *markdown_table(table.columns, table.rows)]
    for note in table.notes:
        lines += [markdown_cell(note), ""]
    return lines[:-1]


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, and an empty one; cells are escaped."""
    lines = ["| " + " | ".join(map(markdown_cell, columns)) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(map(markdown_cell, row)) + " |" for row in rows]
    return [*lines, ""]


def markdown_cell(text: str) -> str:
    r"""Text that cannot break a table, change its look or smuggle in HTML.

    >>> print(markdown_cell("a|b *c*"))
    a\|b \*c\*
    """
    escaped = "".join(_MARKDOWN.get(sign, sign) for sign in text)
    return " ".join(_EMPHASIS.sub(r"\\_", escaped.replace("](", r"]\(")).split())
