"""The study files that `humanclap listen new` writes to start from, one for each kind of trial."""

from __future__ import annotations

STARTER = """\
# A listening test. Every key may be left out but the title; an unknown key is refused.
title = "Does the sound match the text?"
language = "en"            # en and ja have their own sentences; others: replace them in [wording]
seed = 1                   # of the assignment and every order
contact = ""               # whom to ask: on the first page and at the foot of each
pay = ""                   # on the first page, such as "2.00 GBP"
minutes = 0                # how long it takes, on the first page; 0: measured by `listen simulate`

[quota]
ratings_per_pair = 8

[session]
pairs = 18                 # counted sounds of a session
anchors = 3                # mismatched pairs, made automatically
attention_checks = 1       # "please choose 3"
repeats = 0                # sounds heard twice, for self-consistency; not among the ratings
practice = 2               # first sounds, not counted
must_play_to_end = true
slot_minutes = 60          # a session idle for so long gives its pairs to others
first_answer_minutes = 5   # the same for one that has not answered yet, however busy
per_listener = 1           # sessions one listener may take
volume_check = true
headphone_check = "off"    # off, record, require

[scale]
low = 0
high = 10
step = 1

[[question]]
id = "REL"                 # REL, IS, OS, OVERALL (quality) or COMMENT (free text)

# [[question]]
# id = "COMMENT"
# required = false

[listener]
preset = "basic"           # none; basic: age, hearing, device and the like, none of them a must;
                           # relate: the twelve questions of RELATE, nationality among them

# [[listener.question]]
# id = "instrument"
# prompt = "Do you play an instrument?"
# choices = ["Yes", "No", "I would rather not say"]

[completion]
code = ""                  # one for all, or empty for one each
url = ""                   # where to go back to; {code} is filled in

[wording]
# welcome = "..."          # any sentence of the pages
# consent = "..."
"""


_SCALE_AND_QUESTION = STARTER[STARTER.index("[scale]") : STARTER.index("[listener]")]
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


def starter(trial: str) -> str:
    """The study file of one kind of trial: `rating`, or for an A/B study `clips` or `texts`."""
    if trial == "rating":
        return STARTER
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
        _SCALE_AND_QUESTION: _CHOICE,
    }
    text = STARTER
    for old, new in changes.items():
        text = text.replace(old, new)
    return text
