"""The study files that `humanclap listen new` writes to start from, one for each kind of trial."""

from __future__ import annotations

from pathlib import Path

_CHOICE = """\
[choice]
equal = true               # whether "about equal" may be chosen

[[question]]
id = "CHOICE"

# [[question]]
# id = "COMMENT"
# required = false

"""
_COMPARED = {
    "clips": ("Which sound matches the text better?", "two clips for one text"),
    "texts": ("Which text matches the sound better?", "two texts for one clip"),
}


def study_template(trial: str) -> str:
    """The study file of one kind of trial: `rating`, or for an A/B study `clips` or `texts`."""
    text = Path(__file__).with_name("study.toml").read_text(encoding="utf-8")
    if trial == "rating":
        return text
    title, what = _COMPARED[trial]
    changes = {
        'title = "Does the sound match the text?"': f'title = "{title}"\n'
        f'trial = "{trial}"            # {what}',
        "ratings_per_pair = 8\n": "choices_per_comparison = 8\n"
        "# choices_per_system_pair = 200   # in its place: for all comparisons of two systems\n",
        "# counted sounds of a session": "# counted comparisons of a session",
        "# mismatched pairs, made automatically": "# a side plainly mismatched, made automatically",
        '# "please choose 3"': '# "please choose B"',
        "# sounds heard twice, for self-consistency; not among the ratings": "# comparisons asked "
        "twice, sides swapped, for self-consistency",
        "# first sounds, not counted": "# first comparisons, not counted",
        text[text.index("[scale]") : text.index("[listener]")]: _CHOICE,
    }
    for old, new in changes.items():
        text = text.replace(old, new)
    return text
