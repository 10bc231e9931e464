from __future__ import annotations

import pytest

from humanclap.errors import InputError, SettingsError
from humanclap.listening.design.design import TRIALS, parse_design, read_design
from humanclap.listening.design.design_templates import study_template
from humanclap.listening.design.listener_questions import preset, relate_code
from humanclap.listening.design.wording import LANGUAGES, sentences_of


def test_the_starter_asks_for_nothing_one_cannot_decline_and_for_no_origin() -> None:
    design = parse_design(study_template("rating"))
    assert [question.id for question in design.listener_questions] == [
        "age", "hearing", "experience", "device", "surroundings",
    ]  # fmt: skip
    for question in design.listener_questions:
        assert "I would rather not say" in question.choices
        assert "nation" not in question.prompt.lower()
        assert "country" not in question.prompt.lower()
    assert design.scale.choices == tuple(float(n) for n in range(11))


def test_a_title_is_all_a_design_needs() -> None:
    design = parse_design('title = "T"')
    assert [question.id for question in design.questions] == ["REL"]
    assert design.session.anchors == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "T"\ncolour = "red"', "unknown setting 'colour'"),
        ('title = "T"\n[session]\npair = 3', "unknown setting 'pair'"),
        ('title = "T"\n[session]\npairs = "3"', "expected a whole number"),
        ('title = "T"\n[session]\npairs = true', "expected a whole number"),
        ('title = "T"\n[session]\npairs = 0', "at least 1"),
        ('title = "T"\nminutes = -1', "at least 0"),
        ('title = "T"\npay = 2.5', "expected a text"),
        ('title = "T"\n[session]\nheadphone_check = "yes"', "off, record, require"),
        ('title = "T"\n[[question]]\nid = "XYZ"', "known: REL, IS, OS, OVERALL, COMMENT"),
        ('title = "T"\n[[question]]\nid = "COMMENT"', "answered on the scale"),
        ('title = "T"\n[[question]]\nid = "REL"\n[[question]]\nid = "REL"', "twice"),
        ('title = "T"\n[scale]\nlow = 0\nhigh = 100', "101 buttons"),
        ('title = "T"\n[scale]\nlow = 1\nhigh = 5\nstep = 3', "does not divide"),
        ('title = "T"\n[completion]\nurl = "javascript:alert(1)"', "https"),
        ('title = "T"\n[wording]\nhello = "x"', "no sentence 'hello'"),
        ('title = "T"\n[wording]\ntrial_of = "{secret}"', "cannot be filled in"),
        ('title = "T"\n[listener]\npreset = "none"\n[[listener.question]]\nid = "a"', "prompt"),
        ("title = ", "not TOML"),
        ("seed = 1", "'title' is missing"),
    ],
)
def test_a_design_that_cannot_work_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_design(text)


def test_a_design_file_that_is_missing_names_the_cure(tmp_path) -> None:
    with pytest.raises(InputError, match="listen new"):
        read_design(tmp_path / "none.toml")


def test_a_scale_of_hundred_in_tens_has_eleven_buttons() -> None:
    design = parse_design('title = "T"\n[scale]\nlow = 0\nhigh = 100\nstep = 10')
    assert design.scale.choices[-2:] == (90.0, 100.0)


def test_every_language_says_every_sentence_with_the_same_blanks() -> None:
    import string

    def blanks(sentence: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(sentence) if name}

    for trial in TRIALS:
        english = sentences_of("en", trial)
        for language in LANGUAGES:
            sentences = sentences_of(language, trial)
            assert sentences.keys() == english.keys()
            for name, sentence in sentences.items():
                assert blanks(sentence) <= blanks(english[name])


def test_relates_preset_keeps_its_twelve_questions_for_who_asks_for_them() -> None:
    assert [question.id for question in preset("relate")] == [f"question{n}" for n in range(1, 13)]


def test_relates_codes_are_those_of_its_published_table(shared) -> None:
    import csv

    with open(shared / "data/relate/listener_attributes/REL.csv", newline="") as file:
        published = list(csv.DictReader(file))
    assert list(published[0]) == ["listener_id", *(question.id for question in preset("relate"))]
    for question in preset("relate"):
        if question.choices:
            codes = {relate_code(question, choice) for choice in question.choices}
            assert {row[question.id] for row in published} <= codes
