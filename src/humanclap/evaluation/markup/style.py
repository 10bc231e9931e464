"""Style sheet and script of every HTML page of humanclap's judging; both stand inside the page."""

STYLE = """
:root { color-scheme: light dark; --page: #ffffff; --text: #1c2128; --faint: #59636e;
  --line: #d5dae0; --raised: #f5f7f9; --natural: #0969a8; --synthetic: #c2510c;
  --anchor: #6f42c1; --ceiling: #1a7f37; --warn: #fff3cd; --warn-text: #5c4300;
  --warn-line: #d9a400; --shade: rgb(28 33 40 / .22); }
@media (prefers-color-scheme: dark) { :root { --page: #14181d; --text: #e4e8ed; --faint: #9aa4af;
  --line: #343c46; --raised: #1d232a; --natural: #5cb3ee; --synthetic: #f59a55;
  --anchor: #b79cf2; --ceiling: #56d364; --warn: #3a2f0b; --warn-text: #ffe08a;
  --warn-line: #d9a400; --shade: rgb(0 0 0 / .7); } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 78rem; background: var(--page);
  color: var(--text); font: 16px/1.55 system-ui, "Segoe UI", "Helvetica Neue", sans-serif;
  overflow-wrap: break-word; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .4rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .5rem; }
.about { color: var(--faint); font-size: .9rem; margin: 0 0 1rem; }
.banner, .warnings { background: var(--warn); color: var(--warn-text);
  border: 1px solid var(--warn-line); border-left-width: 6px; border-radius: 6px;
  padding: .7rem 1rem; margin: 0 0 1rem; }
.banner { font-weight: 600; } .banner p { margin: 0 0 .3rem; }
.warnings h2 { font-size: 1rem; margin: 0 0 .3rem; }
.warnings ul { margin: 0; padding-left: 1.2rem; } .warnings li { margin: .25rem 0; }
.summary { font-size: 1.1rem; margin: 0 0 1rem; } .summary p { margin: 0 0 .35rem; }
a { color: var(--natural); }
.wide { overflow-x: auto; background:
  linear-gradient(to left, var(--page) 40%, transparent) right / 2.5rem 100% no-repeat local,
  linear-gradient(to left, var(--shade), transparent) right / .7rem 100% no-repeat scroll; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  font-size: .92rem; }
th, td { text-align: right; padding: .4rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; font-size: .85rem; vertical-align: bottom;
  white-space: normal; }
th.t, td.t { text-align: left; white-space: normal; min-width: 7.5rem; }
td.long { min-width: 12rem; } th.first, td.first { min-width: 11.5rem; }
th.first, td.first { position: sticky; left: 0; background: var(--page); }
tr.overall td { font-weight: 600; }
td small { display: block; color: var(--faint); font-weight: 400; font-size: .78rem; }
figure { margin: 1.25rem 0; background: var(--raised); border: 1px solid var(--line);
  border-radius: 8px; padding: 1rem; } figcaption { color: var(--faint);
  font-size: .9rem; margin-top: .4rem; }
.chart { max-width: 56rem; margin: 0 auto; }
.row { display: grid; grid-template-columns: minmax(0, 15rem) minmax(0, 1fr) 10.5rem;
  column-gap: .9rem; align-items: center; }
.row .what { text-align: right; font-size: .88rem; line-height: 1.25; padding: .22rem 0; }
.row .value { color: var(--faint); font-size: .82rem; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.track { position: relative; align-self: stretch; min-height: 1.65rem; }
.track svg { position: absolute; inset: 0; width: 100%; height: 100%; overflow: visible; }
.plot { display: block; width: 100%; max-width: 48rem; height: auto; margin: 0 auto; }
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
.named { white-space: nowrap; }
.facts, .findings { padding-left: 1.2rem; } .facts { color: var(--faint); font-size: .9rem;
  overflow-wrap: anywhere; }
.findings li { margin: .25rem 0; }
code { font: .88em ui-monospace, "Cascadia Mono", Menlo, monospace; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid
  var(--natural); outline-offset: 2px; } th button::after { content: "\\a0↕"; opacity: .4; }
th[aria-sort=descending] button::after { content: "\\a0↓"; opacity: 1; }
th[aria-sort=ascending] button::after { content: "\\a0↑"; opacity: 1; }
tr.ceiling td { color: var(--ceiling); font-weight: 600; } tr.listener td { color: var(--ceiling); }
tr.trivial td { color: var(--faint); } tr.metric td:first-child { font-weight: 600; }
.wide + .cards, .wide + .wide { margin-top: 1.5rem; }
.limit { stroke: var(--ceiling); stroke-width: 2; stroke-dasharray: 4 3; }
.key.ceiling { background: var(--ceiling); height: .18rem; vertical-align: middle; }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr));
  gap: 1rem; } .two figure { margin: 0; } .two .plot { max-width: 27rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(17rem, 100%), 1fr));
  gap: .8rem; }
.card { background: var(--raised); border: 1px solid var(--line); border-radius: 8px;
  padding: .75rem; min-width: 0; } .card p { margin: 0 0 .35rem; }
.card .text { font-weight: 600; } .card .small { color: var(--faint); font-size: .82rem; }
.card audio { width: 100%; height: 2.2rem; } .card img { width: 100%; height: 5rem;
  image-rendering: auto; border-radius: 4px; margin: .3rem 0; display: block; }
@media screen and (max-width: 42rem) {
  body { padding: 1.25rem 1rem 3rem; } h1 { font-size: 1.4rem; } .summary { font-size: 1.02rem; }
  figure { padding: .75rem; } .key { margin-left: .6rem; }
  .row { grid-template: "what value" "track track" / minmax(0, 1fr) auto; margin-top: .35rem; }
  .row .what { grid-area: what; text-align: left; padding: 0; } .row .value { grid-area: value; }
  .row .track { grid-area: track; min-height: 1.25rem; }
  .row.axis { margin-top: 0; } .row.axis span { display: none; }
  .plot text { font-size: 20px; } .plot text.tick { font-size: 19px; }
  .two .plot text { font-size: 16px; } .two .plot text.tick { font-size: 15px; }
  th, td { padding: .4rem .45rem; } th.first, td.first { min-width: 9rem; }
}
@media print {
  :root { color-scheme: light; --page: #ffffff; --text: #000000; --faint: #444444;
    --line: #bbbbbb; --raised: #ffffff; --natural: #0969a8; --synthetic: #c2510c;
    --anchor: #6f42c1; --warn: #ffffff; --warn-text: #000000; --ceiling: #1a7f37; }
  @page { margin: 1.4cm; }
  body { font-size: 10pt; max-width: none; padding: 0; } h1 { font-size: 16pt; }
  .summary { font-size: 11pt; }
  th, td { padding: .15rem .22rem; } td small { white-space: normal; } table { font-size: 8pt; }
  th { font-size: 7.5pt; } th.t, td.t, td.long, td.first { min-width: 4.2rem; }
  td small { font-size: 6.5pt; } .wide { overflow: visible; background: none; }
  th.first, td.first { position: static; }
  h2, h3, h2 + p { break-after: avoid; } figure, .card, tr, .warnings { break-inside: avoid; }
  .row { grid-template-columns: 11rem minmax(0, 1fr) 9.5rem; } .row .what { font-size: 9pt; }
  .row .value { font-size: 8pt; } figcaption, .facts { font-size: 9pt; }
  .plot { max-width: 13cm; } .two .plot { max-width: 8cm; }
  .two { grid-template-columns: 1fr 1fr; } .two figure { padding: .5rem; }
  .cards { grid-template-columns: repeat(4, 1fr); } audio { display: none; }
  .card img { height: 3rem; } .key { print-color-adjust: exact; }
  th button::after { content: "" !important; } a { color: inherit; text-decoration: none; }
}
"""

SCRIPT = """
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
