"""What every HTML page of humanclap's judging shares: style, sorting, a strict content policy.

A page stands alone: no outside reference, one inline style sheet and one inline script, both
named by their hash in the page's content security policy, so nothing else can run.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape

_STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2128; --faint: #59636e;
  --line: #d5dae0; --raised: #f5f7f9; --natural: #0969a8; --synthetic: #c2510c;
  --anchor: #6f42c1; --ceiling: #1a7f37; --warn: #fff3cd; --warn-text: #5c4300;
  --warn-line: #d9a400; }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --text: #e4e8ed; --faint: #9aa4af;
  --line: #343c46; --raised: #1d232a; --natural: #5cb3ee; --synthetic: #f59a55;
  --anchor: #b79cf2; --ceiling: #56d364; --warn: #3a2f0b; --warn-text: #ffe08a;
  --warn-line: #d9a400; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 68rem; background: var(--page);
  color: var(--text); font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 1rem; } h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h1, h2, p, li, td:first-child { overflow-wrap: anywhere; }
.banner { background: var(--warn); color: var(--warn-text); border: 1px solid var(--warn-line);
  border-left-width: 6px; border-radius: 6px; padding: .7rem 1rem; margin: 0 0 1rem;
  font-weight: 600; }
.summary { font-size: 1.05rem; padding-left: 1.2rem; } .summary li { margin: .3rem 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .92rem; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; font-size: .85rem; } th:first-child,
td:first-child { text-align: left; white-space: normal; } td.t:first-child,
td.name { min-width: 9rem; } tr.overall td { font-weight: 600; }
td small { display: block; color: var(--faint); font-weight: 400; font-size: .78rem; }
figure { margin: 1.25rem 0; background: var(--raised); border: 1px solid var(--line);
  border-radius: 8px; padding: 1rem; overflow-x: auto; } figcaption { color: var(--faint);
  font-size: .9rem; }
svg { display: block; width: 100%; min-width: 30rem; max-width: 48rem; height: auto;
  margin: 0 auto; }
svg text { fill: var(--text); font-size: 13px; } svg text.tick { fill: var(--faint);
  font-size: 12px; } svg text.label { fill: var(--faint); }
.grid { stroke: var(--line); stroke-width: 1; } .zero { stroke: var(--faint); stroke-width: 1; }
.span { stroke: var(--natural); stroke-width: 2.5; } .dot { fill: var(--natural); }
.mark { fill-opacity: .55; } .natural { fill: var(--natural); background: var(--natural); }
.synthetic { fill: var(--synthetic); background: var(--synthetic); }
.anchor { fill: var(--anchor); background: var(--anchor); }
.other { fill: var(--natural); background: var(--natural); }
.key { display: inline-block; width: .7rem; height: .7rem; margin: 0 .35rem 0 .9rem; }
.key.natural, .key.other { border-radius: 50%; }
.key.anchor { clip-path: polygon(50% 0, 100% 100%, 0 100%); }
.facts { color: var(--faint); font-size: .9rem; padding-left: 1.2rem; }
code { font: .88em ui-monospace, "Cascadia Mono", Menlo, monospace; overflow-wrap: anywhere; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid
  var(--natural); outline-offset: 2px; } th button::after { content: " ↕"; opacity: .4; }
th[aria-sort=descending] button::after { content: " ↓"; opacity: 1; }
th[aria-sort=ascending] button::after { content: " ↑"; opacity: 1; }
tr.ceiling td { color: var(--ceiling); font-weight: 600; } tr.listener td { color: var(--ceiling); }
tr.trivial td { color: var(--faint); } tr.metric td:first-child { font-weight: 600; }
th.t, td.t { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.wide + .cards { margin-top: 1rem; }
.limit { stroke: var(--ceiling); stroke-width: 2; stroke-dasharray: 4 3; }
.box { fill: var(--ceiling); fill-opacity: .14; } .line { stroke: var(--faint); fill: none; }
.key.ceiling { background: var(--ceiling); height: .18rem; vertical-align: middle; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 1rem; }
.two figure { margin: 0; } .two svg { min-width: 0; max-width: 27rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: .8rem; }
.card { background: var(--raised); border: 1px solid var(--line); border-radius: 8px;
  padding: .75rem; } .card p { margin: 0 0 .35rem; overflow-wrap: anywhere; }
.card .text { font-weight: 600; } .card .small { color: var(--faint); font-size: .82rem; }
.card audio { width: 100%; height: 2.2rem; } .card img { width: 100%; height: 5rem;
  image-rendering: auto; border-radius: 4px; margin: .3rem 0; display: block; }
@media print {
  :root { color-scheme: light; --page: #ffffff; --text: #000000; --faint: #444444;
    --line: #bbbbbb; --raised: #ffffff; --natural: #0969a8; --synthetic: #c2510c;
    --anchor: #6f42c1; --warn: #ffffff; --warn-text: #000000; --ceiling: #1a7f37; }
  @page { margin: 1.4cm; }
  body { font-size: 10pt; max-width: none; padding: 0; } th, td { padding: .2rem .35rem; }
  table { font-size: 8pt; } td small { font-size: 7pt; } .wide { overflow: visible; }
  h2, h3, h2 + p { break-after: avoid; } figure, .card, tr { break-inside: avoid; }
  figure { max-width: 15cm; } svg { min-width: 0; } audio { display: none; }
  th button::after { content: "" !important; } }
"""

_SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const key = (row, column) => {
    const text = row.cells[column] ? row.cells[column].dataset.v || row.cells[column].textContent
      : "";
    const number = parseFloat(text.replace(/[,<> ]/g, ""));
    return number === number ? number : text;
  };
  Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const cell of table.tHead.rows[0].cells) cell.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = Array.from(body.rows);
      rows.sort((a, b) => {
        const x = key(a, column), y = key(b, column);
        const missing = [x, y].map((v) => v === "" || v === "\\u2013");
        if (missing[0] || missing[1]) return missing[0] - missing[1];
        const order = typeof x === "number" && typeof y === "number" ? x - y
          : String(x).localeCompare(String(y));
        return down ? -order : order;
      });
      body.append(...rows);
    });
  });
}
"""


def document(title: str, body: Iterable[str], *, linked_audio: bool = False) -> str:
    """A whole page. title is escaped here, body is markup; linked_audio: players use files."""
    media = "media-src data: 'self' file:" if linked_audio else "media-src data:"
    policy = (
        f"default-src 'none'; style-src '{_hash(_STYLE)}'; script-src '{_hash(_SCRIPT)}'; "
        f"img-src data:; {media}; base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def banner(text: str) -> str:
    """A note nobody should overlook; the text is escaped."""
    return f'<p class="banner" role="note">{escape(text)}</p>'


def bullets(kind: str, items: Iterable[str]) -> str:
    """A list of class `kind`; items are escaped."""
    return f'<ul class="{kind}">' + "".join(f"<li>{escape(i)}</li>" for i in items) + "</ul>"


def figure(content: str, caption: str) -> str:
    """Both are markup."""
    return f"<figure>{content}<figcaption>{caption}</figcaption></figure>"


def table(
    heads: Sequence[str], rows: Iterable[Sequence[str]], *, kinds: Sequence[str] | None = None
) -> str:
    """A table that sorts by a click on a heading; all text is escaped.

    kinds: class of each row. A cell `0.5 [0.4, 0.6]` has its interval set below its value.
    """
    cells = [list(row) for row in rows]
    words = [any(_is_words(row[column]) for row in cells) for column in range(len(heads))]
    lines = []
    for i, row in enumerate(cells):
        kind = f' class="{kinds[i]}"' if kinds and kinds[i] else ""
        data = (_cell(text, words[column]) for column, text in enumerate(row))
        lines.append(f"<tr{kind}>" + "".join(data) + "</tr>")
    titles = (_element("th", escape(head), words[i]) for i, head in enumerate(heads))
    return raw_table("".join(titles), lines)


def _is_words(text: str) -> bool:
    return bool(text) and not (text[0].isdigit() or text[0] in "+-–<>−")


def _element(name: str, content: str, words: bool) -> str:
    return f'<{name} class="t">{content}</{name}>' if words else f"<{name}>{content}</{name}>"


def raw_table(heads: str, rows: Iterable[str]) -> str:
    """As `table`, of markup: `<th>`... and `<tr>`..."""
    return (
        f'<div class="wide"><table class="sortable"><thead><tr>{heads}</tr></thead><tbody>'
        + "".join(rows)
        + "</tbody></table></div>"
    )


def _cell(text: str, words: bool) -> str:
    value, bracket, rest = text.partition(" [")
    if bracket and rest.endswith("]") and not words:
        return _element("td", f"{escape(value)}<small>[{escape(rest)}</small>", words)
    return _element("td", escape(text), words)
