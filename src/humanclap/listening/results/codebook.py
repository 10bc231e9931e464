"""What every column of the exported tables means, and every code in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from humanclap.listening.design.design import StudyDesign
from humanclap.listening.design.listener_questions import ListenerQuestion, relate_code

COLUMNS = ("file", "column", "meaning", "value", "value_means")
CODED = "relate_listeners.csv"

_MEANINGS = {
    "audio": "clip, as in the table of pairs",
    "text": "text that was shown with the clip",
    "score": "rating, on the scale of the study",
    "listener_id": "random id of the listener",
    "question": "question that was answered",
    "kind": "why the sound was in the session",
    "system": "what made the clip",
    "subset": "natural or synthetic, as in the table of pairs",
    "split": "part of the data, as in the table of pairs",
    "expected": "right answer of an attention check",
    "session_id": "random id of the sitting",
    "trial_number": "place of the sound in the session, from 1",
    "play_count": "how often the clip was started from its beginning",
    "heard_to_end": "whether the clip was heard to its end",
    "trial_s": "seconds on this sound",
    "answered_at": "when it was answered (UTC)",
    "revision": "how often the answer was changed before it was final",
    "session_state": "how far the session had come at the export",
    "simulated": "whether a bot of a rehearsal answered",
    "set_aside": "why the answer is not in ratings.csv",
    "comment": "answer in words",
    "state": "how far the session had come at the export",
    "begun_at": "when the first sound was given (UTC)",
    "finished_at": "when the session was finished (UTC)",
    "headphone_right": "rows of the headphone check answered rightly, of 6; empty without a check",
    "anchor_mean": "mean rating of the mismatched pairs; high for those who do not listen",
    "repeat_difference": "mean absolute difference between ratings of a sound heard twice",
    "excluded": "whether the researcher excluded the listener",
    "reason": "why",
    "wavname": "RELATE's name of the clip: /system/split/file",
    "audio type": "natural, or the system",
    "anchor label": "whether it is a mismatched pair",
    "in AudioCaps": "train or test for natural clips",
    "filename": "clip, as in the table of pairs",
    "wav_file_name": "clip, as in the table of pairs",
}
_OF_CHOICES = {
    "text": "text that was shown with the clips",
    "text_a": "first text of the comparison, as in its table",
    "text_b": "second text of the comparison, as in its table",
    "audio": "clip that was heard with the texts",
    "audio_a": "first clip of the comparison, as in its table",
    "audio_b": "second clip of the comparison, as in its table",
    "choice": "which side fits better: first is a, second is b, wherever they stood on the page",
    "kind": "label of the comparison, as in its table; or why it was in the session",
    "system_a": "what made side a",
    "system_b": "what made side b",
    "expected": "right answer of an anchor or an attention check",
    "shown_first": "side that stood first on the page, at A",
    "duration_s": "seconds on this comparison",
    "repeat": "true where the listener had answered it before, with the sides the other way round",
    "play_count": "how often the clip was started from its beginning",
    "play_count_a": "how often the clip of side a was started from its beginning",
    "play_count_b": "how often the clip of side b was started from its beginning",
    "heard_to_end": "whether every clip was heard to its end",
    "trial_number": "place of the comparison in the session, from 1",
    "set_aside": "why the answer is not in choices.csv",
    "anchors_right": "share of the anchors answered with the side that fits",
    "repeats_same": "share of the repeats answered as the first time",
    "chose_a": "share of the choices of a side that took the one at A",
}
"""Columns of an A/B study, where they have others or mean something else."""
_STATES = {
    "preparing": "agreed, no sound yet",
    "active": "under way",
    "expired": "idle for so long that its open pairs went to others",
    "finished": "everything answered",
    "screened_out": "ended by the headphone check",
}
_YES_NO = {"0": "no", "1": "yes"}
_VALUES_OF_CHOICES = {
    "choice": {"first": "side a", "second": "side b", "equal": "about equal"},
    "expected": {"first": "side a", "second": "side b", "equal": "about equal"},
    "shown_first": {"a": "side a", "b": "side b"},
    "kind": {
        "anchor": "one side is deliberately mismatched",
        "attention_check": "a text that asks for a certain answer",
    },
}
_VALUES = {
    "question": {
        "REL": "overall match of sound and text",
        "IS": "inclusion of the sounds that the text names",
        "OS": "order of the sounds",
        "OVERALL": "quality of the sound",
        "COMMENT": "remark",
    },
    "kind": {
        "rating": "a pair to be rated",
        "anchor": "a deliberately mismatched pair",
        "attention_check": "a text that asks for a certain answer",
        "practice": "one of the first sounds, not counted",
        "repeat": "a pair heard a second time",
    },
    "set_aside": {
        "practice": "see kind",
        "repeat": "see kind",
        "surplus": "came after others had filled the pair's quota",
        "excluded": "of an excluded listener",
        "revised": "changed by the listener before it was final; what counts stands elsewhere",
        "other question": "no question that the ratings stage reads",
        "unfinished session": "set aside by --finished-only",
    },
    "session_state": _STATES,
    "state": _STATES,
    "heard_to_end": _YES_NO,
    "simulated": _YES_NO,
    "excluded": _YES_NO,
}


def codebook(
    design: StudyDesign, tables: Sequence[tuple[str, Sequence[str]]]
) -> Iterator[dict[str, str]]:
    """One row a column of each table, then one a value that stands for something.

    tables: name of each exported file and its columns. Columns that the study's own questions
    about the listener fill are explained by the question as it was asked.
    """
    compared = design.between is not None
    meanings = _MEANINGS | (_OF_CHOICES if compared else {})
    known = _VALUES | (_VALUES_OF_CHOICES if compared else {})
    asked = {question.id: question for question in design.listener_questions}
    for file, columns in tables:
        for column in columns:
            question = None if column in meanings else asked.get(column)
            meaning, values = meanings.get(column, ""), known.get(column, {})
            if question is not None:
                meaning, values = _asked(question, coded=file == CODED)
            plain = {"file": file, "column": column, "meaning": meaning}
            yield plain
            for value, means in values.items():
                yield plain | {"value": value, "value_means": means}


def _asked(question: ListenerQuestion, *, coded: bool) -> tuple[str, dict[str, str]]:
    place = "before the first sound" if question.when == "before" else "after the last sound"
    values = {relate_code(question, c) if coded else c: c for c in question.choices}
    return f"asked {place}: {question.prompt}", values
