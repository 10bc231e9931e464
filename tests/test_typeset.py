from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from humanclap.typeset import PaperTable, latex, latex_text, markdown, markdown_cell, typeset

NASTY = r"\a_b{c} $d$ 50 % & #1 ~x^2 <b>|`q' -- ''"
TABLE = PaperTable(
    caption="Mean score (−1..1) of R&D_2; n = 3 clips.",
    label="my scores!",
    columns=("System", "n", "score [95 % CI]"),
    rows=(("tango_2", "2", "-0.123 [-0.200, 0.010]"), ("[best] & *", "1", "0.5 [–]")),
    notes=("Scores: humanclap:0.1.0|model:mini@3f9a|rate:32000.",),
)


def test_signs_that_latex_reads_are_escaped():
    assert latex_text("50 % of R&D_2 #1 $") == r"50 \% of R\&D\_2 \#1 \$"
    assert latex_text(r"a\b{c}") == r"a\textbackslash{}b\{c\}"
    assert latex_text("~^<>|") == (
        r"\textasciitilde{}\textasciicircum{}\textless{}\textgreater{}\textbar{}\allowbreak{}"
    )
    assert latex_text("a--b ?`") == "a-{}-b ?{}`"  # no dash, no turned question mark


def test_numbers_get_a_minus_sign_and_names_keep_their_hyphen():
    assert latex_text("-0.1 [-0.2, .5] clap-htsat-2 a-1") == (
        "$-$0.1 [$-$0.2, .5] clap-htsat-2 a-1"
    )


def test_signs_without_a_shape_are_shown_as_escapes():
    assert latex_text("a\x07b\u200b\udce9") == (
        r"a\textbackslash{}x07b\textbackslash{}u200b\textbackslash{}udce9"
    )
    assert latex_text("two\nlines\tand  a tab") == "two lines and a tab"


def test_latin_letters_pass_and_others_are_named_in_a_comment():
    table = PaperTable(caption="Škoda", label="x", columns=("a",), rows=(("犬 e\u0301",),))
    text = latex([table])
    assert "Škoda" in text
    assert "é" in text
    comment = text.split("\n")[1]
    assert comment.startswith("% pdfLaTeX does not know 犬 : compile with LuaLaTeX or XeLaTeX")
    assert "pdfLaTeX" not in latex([TABLE])


def test_latex_has_booktabs_rules_an_interval_and_the_signature():
    text = latex([TABLE])
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"\label{tab:my-scores-}"):
        assert line in text
    assert r"\begin{tabular}{lrr}" in text
    assert r"tango\_2 & 2 & $-$0.123 {\scriptsize [$-$0.200, 0.010]} \\" in text
    assert r"    {}[best] \& * & 1" in text  # else an argument of the line break before
    assert r"humanclap:0.1.0\textbar{}\allowbreak{}model" in text


def test_markdown_cells_cannot_break_the_table():
    lines = markdown([TABLE]).split("\n")
    assert lines[0] == "**Mean score (−1..1) of R&amp;D_2; n = 3 clips.**"
    assert lines[2] == "| System | n | score [95 % CI] |"
    assert lines[5] == r"| [best] &amp; \* | 1 | 0.5 [–] |"
    assert lines[-1] == r"Scores: humanclap:0.1.0\|model:mini@3f9a\|rate:32000."
    assert markdown_cell("a|b\n<i>`c`\\") == r"a\|b &lt;i&gt;\`c\`\\"
    assert len(re.findall(r"(?<!\\)\|", markdown_cell(NASTY))) == 0
    assert markdown_cell("tango_2 _my_ __init__") == r"tango_2 \_my\_ \_\_init\_\_"
    assert markdown_cell("![x](http://y) 0.5 [0.1, 0.9]") == r"![x]\(http://y) 0.5 [0.1, 0.9]"


def test_a_table_without_rows_has_its_head():
    empty = PaperTable(caption="c", label="l", columns=("a", "b"), rows=())
    assert r"\begin{tabular}{ll}" in typeset([empty], "latex")
    assert typeset([empty], "markdown").endswith("| a | b |\n| --- | --- |")


def test_latex_compiles(tmp_path):
    if shutil.which("pdflatex") is None or not _has_booktabs():
        pytest.skip("pdflatex with booktabs is not installed")
    nasty = PaperTable(
        caption=NASTY,
        label="n",
        columns=(NASTY, "−±×≤≥≈Δ∞·°µ→–—…‘’“”"),
        rows=((NASTY, "ü ł Ž"), ("[x", "*")),
        notes=(NASTY,),
    )
    document = (
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\n"
        "\\begin{document}\n" + latex([TABLE, nasty]) + "\n\\end{document}\n"
    )
    (tmp_path / "t.tex").write_text(document, encoding="utf-8")
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]


def _has_booktabs() -> bool:
    found = subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, check=False)
    return found.returncode == 0
