"""Make up an A/B test: no person answered, every choice is drawn from known strengths.

    python examples/made_choices.py made-choices.csv

Three systems (strengths 0, 0.4 and 1.2 on the logit scale) made a clip for each of 30 prompts. 20
listeners compare two of the three on every prompt. The places are drawn each time, and the first
one gains 0.2; one answer in ten is "equal". Four questions of each listener come again with the
places exchanged, and two more are attention checks with a plainly wrong side. Three further
listeners do not listen: one always takes the first clip, one clicks within a second, and one fails
a check.
"""

from __future__ import annotations

import math
import random
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from humanclap.choices import write_choices
from humanclap.records import Choice

STRENGTHS = {"north": 0.0, "east": 0.4, "south": 1.2}
PROMPTS, LISTENERS, REPEATS, CHECKS, FIRST_GAINS = 30, 20, 4, 2, 0.2


def answer(draw: random.Random, question: Choice, habit: str) -> Choice:
    """One answer: by strengths and place, or by the habit of one who does not listen."""
    shown_first = "a" if draw.random() < 0.5 else "b"
    gain = FIRST_GAINS if shown_first == "a" else -FIRST_GAINS
    strength = STRENGTHS[question.system_a or ""] - STRENGTHS[question.system_b or ""] + gain
    first = draw.random() < 1 / (1 + math.exp(-strength))
    chosen = "equal" if draw.random() < 0.1 else "first" if first else "second"
    seconds = 4 + 6 * draw.random()
    if habit == "left":
        chosen = "first" if shown_first == "a" else "second"
    if habit == "fast":
        chosen, seconds = draw.choice(["first", "second"]), 0.4 + 0.6 * draw.random()
    if question.expected and habit != "left":
        chosen = "second" if habit == "careless" else "first"
    return replace(question, choice=chosen, shown_first=shown_first, duration_s=round(seconds, 2))


def exchanged(draw: random.Random, before: Choice, habit: str) -> Choice:
    """The question of an answer again, with the places exchanged."""
    other = "b" if before.shown_first == "a" else "a"
    again = answer(draw, before, habit)
    while again.shown_first != other:
        again = answer(draw, before, habit)
    return replace(again, repeat=True)


def session(draw: random.Random, listener_id: str, habit: str) -> list[Choice]:
    """All answers of one listener: checks, questions and repeats."""
    pairs = list(combinations(STRENGTHS, 2))
    questions = []
    for number in range(PROMPTS + CHECKS):
        a, b = draw.choice(pairs)
        check = number >= PROMPTS
        questions.append(
            Choice(
                audio_a=f"{a}/{number:02}.wav",
                audio_b=f"wrong/{number:02}.wav" if check else f"{b}/{number:02}.wav",
                text_a=f"prompt {number:02}",
                text_b=f"prompt {number:02}",
                choice="equal",
                listener_id=listener_id,
                kind="anchor" if check else None,
                expected="first" if check else None,
                system_a=a,
                system_b=b,
            )
        )
    answers = [answer(draw, question, habit) for question in questions]
    repeats = [exchanged(draw, one, habit) for one in draw.sample(answers[:PROMPTS], REPEATS)]
    return answers + repeats


def made_choices(seed: int = 1) -> list[Choice]:
    """The whole made-up study; the same seed makes the same."""
    draw = random.Random(seed)
    habits = {f"L{number:02}": "listens" for number in range(1, LISTENERS + 1)}
    habits |= {"L21": "left", "L22": "fast", "L23": "careless"}
    return [one for name, habit in habits.items() for one in session(draw, name, habit)]


if __name__ == "__main__":
    write_choices(Path(sys.argv[1]), made_choices())
