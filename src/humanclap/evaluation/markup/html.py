"""What every HTML page of humanclap's judging shares: style, sorting, a strict content policy.

A page stands alone: no outside reference, one inline style sheet and one inline script, both
named by their hash in the page's content security policy, so nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from html import escape

from humanclap.evaluation.markup.style import SCRIPT, STYLE
from humanclap.provenance import Provenance

_SEAMS = re.compile(r"(?<=\w[_/-])(?=\w)|(?<=\w\.)(?=[^\W\d_])")
"""After the signs at which names of files and systems may wrap; never inside a number."""


def document(title: str, body: Iterable[str], *, linked_audio: bool = False) -> str:
    """A whole page. title is escaped here, body is markup; linked_audio: players use files."""
    media = "media-src data: 'self' file:" if linked_audio else "media-src data:"
    policy = (
        f"default-src 'none'; style-src '{_hash(STYLE)}'; script-src '{_hash(SCRIPT)}'; "
        f"img-src data:; {media}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def banner(texts: Sequence[str]) -> str:
    """One box of notes nobody should overlook, escaped; nothing where there are none."""
    lines = "".join(f"<p>{escape(text)}</p>" for text in texts)
    return f'<div class="banner" role="note">{lines}</div>' if texts else ""


def opening(
    title: str,
    *,
    about: str,
    notes: Sequence[str],
    headline: Sequence[str],
    picture: str,
    warnings: Sequence[str],
) -> list[str]:
    """How every page begins: title, notes, one summary, one picture; then the warnings, one box.

    picture is markup, all else is escaped. The summary says that there are warnings.
    """
    said = [f"<p>{escape(sentence)}</p>" for sentence in headline]
    if warnings:
        many = "1 warning" if len(warnings) == 1 else f"{len(warnings)} warnings"
        said.append(
            f'<p><a href="#warnings">{many}</a> below the picture: read before you quote a '
            "figure.</p>"
        )
    return [
        f"<h1>{broken(title)}</h1>",
        f'<p class="about">{broken(about)}</p>',
        banner(notes),
        f'<div class="summary">{"".join(said)}</div>',
        picture,
        _warnings(warnings),
    ]


def _warnings(warnings: Sequence[str]) -> str:
    if not warnings:
        return ""
    items = "".join(f"<li>{escape(warning)}</li>" for warning in warnings)
    heading = "<h2>Before you quote a figure</h2>"
    return (
        f'<section class="warnings" id="warnings" role="note">{heading}<ul>{items}</ul></section>'
    )


def how_made(made: Provenance, models: Sequence[str]) -> str:
    """The section that names the models, the command, the date and the versions."""
    facts = [f"Model: {escape(model)}" for model in models]
    if made.command:
        facts.append(f"Command: <code>{escape(made.command)}</code>")
    facts += [f"Date: {escape(made.date)}", f"Versions: {escape(made.software)}"]
    items = "".join(f"<li>{fact}</li>" for fact in facts)
    return f'<h2>How this was made</h2><ul class="facts">{items}</ul>'


def bullets(kind: str, items: Iterable[str]) -> str:
    """A list of class `kind`; items are escaped."""
    return f'<ul class="{kind}">' + "".join(f"<li>{escape(i)}</li>" for i in items) + "</ul>"


def broken(text: str) -> str:
    """Escaped, and long names may wrap where their words end.

    >>> broken("demo_mar/<a>.wav"), broken("-0.25 a/b.wav")
    ('demo_<wbr>mar/&lt;a&gt;.wav', '-0.25 a/<wbr>b.<wbr>wav')
    """
    return "<wbr>".join(escape(part) for part in _SEAMS.split(text))


def figure(content: str, caption: str) -> str:
    """Both are markup."""
    return f"<figure>{content}<figcaption>{caption}</figcaption></figure>"


LONG_WORDS = 40
"""Characters from which a cell of words gets a wider column."""


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, kinds: Sequence[str] | None = None
) -> str:
    """A table that sorts by a click on a heading and scrolls where it is wide; text is escaped.

    kinds: class of each row. In a cell `0.5 [0.4, 0.6]` the interval is set below its value. The
    first column of words stays in sight when the table scrolls.
    """
    cells = [list(row) for row in rows]
    words = [_are_words([row[column] for row in cells]) for column in range(len(heads))]
    first = words.index(True) if True in words else -1
    classes = [("t first" if i == first else "t") if words[i] else "" for i in range(len(heads))]
    lines = []
    for i, row in enumerate(cells):
        kind = f' class="{kinds[i]}"' if kinds and kinds[i] else ""
        data = (_cell(text, classes[column]) for column, text in enumerate(row))
        lines.append(f"<tr{kind}>" + "".join(data) + "</tr>")
    titles = (_element("th", broken(head), classes[i]) for i, head in enumerate(heads))
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{"".join(titles)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _are_words(column: Sequence[str]) -> bool:
    """Whether most cells of a column hold words, not figures."""
    filled = [text for text in column if text]
    return 2 * sum(map(_is_words, filled)) > len(filled)


def _is_words(text: str) -> bool:
    return re.match(r"[^\W\d_]|.*[^\W\d_]{2}", text, flags=re.S) is not None


def _element(name: str, content: str, kind: str) -> str:
    return f'<{name} class="{kind}">{content}</{name}>' if kind else f"<{name}>{content}</{name}>"


def _cell(text: str, kind: str) -> str:
    value, bracket, rest = text.partition(" [")
    if bracket and "]" in rest and not kind:
        return _element("td", f"{escape(value)}<small>[{escape(rest)}</small>", kind)
    long = f"{kind} long" if kind and len(text) >= LONG_WORDS else kind
    return _element("td", broken(text), long)
