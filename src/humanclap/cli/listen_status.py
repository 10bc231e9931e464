"""How far a study is, in the words of `humanclap listen status`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from humanclap.cli.console import text_table

if TYPE_CHECKING:
    from humanclap.listening.results.monitor import StudyOverview


def status_text(view: StudyOverview, *, each_pair: bool) -> str:
    """Progress, systems, agreement, listeners to look at; and every pair where wanted."""
    who = "  SIMULATED LISTENERS" if view.simulated else ""
    states = ", ".join(f"{n} {state}" for state, n in view.sessions.items()) or "none"
    answers = "ratings" if view.trial == "rating" else "choices"
    lines = [
        f"{view.title} ({view.fingerprint}): {view.state}{who}",
        f"{answers}: {view.ratings_answered} of {view.ratings_wanted}, "
        f"{view.ratings_promised} promised; sessions: {states}",
        *_attendance_text(view),
        *(f"set aside, {reason}: {n}" for reason, n in view.set_aside.items()),
        *(
            f"cannot be played: {clip.audio}: {clip.reason} (left out {clip.left_out} times)"
            for clip in view.failed_clips
        ),
        "",
        *(_rated_text(view) if view.trial == "rating" else _compared_text(view)),
    ]
    if flagged := [person for person in view.listeners if person.flags and not person.excluded]:
        anchors = "anchor mean" if view.trial == "rating" else "anchors right"
        people = [
            (
                p.listener_id,
                p.anchor_mean if view.trial == "rating" else p.anchors_right,
                p.checks_failed,
                p.median_trial_s,
                ", ".join(p.flags),
            )
            for p in flagged
        ]
        columns = ("look at listener", anchors, "checks failed", "s a trial", "why")
        lines += ["", text_table(columns, people)]
    if each_pair:
        pairs = [(p.audio, p.text, p.answered, p.promised, p.wanted) for p in view.pairs]
        lines += ["", text_table(("audio", "text", "answered", "promised", "wanted"), pairs)]
    return "\n".join(lines)


def _rated_text(view: StudyOverview) -> list[str]:
    systems = text_table(
        ("system", "ratings", "wanted", f"{view.mos_question} MOS", "95% ±"),
        [(s.system, s.answered, s.wanted, s.mos.mean, s.mos.half_width) for s in view.systems],
    )
    agreement = text_table(
        ("question", "ratings", "ICC(1)", "one against others"),
        [(a.question, a.n_ratings, a.icc, a.leave_one_out_srcc) for a in view.agreement],
    )
    return [systems, "", agreement]


def _compared_text(view: StudyOverview) -> list[str]:
    systems = text_table(
        ("pair of systems", "choices", "wanted", "chose the first", "95% ±", "shown at A"),
        [
            (s.system, s.answered, s.wanted, s.mos.mean, s.mos.half_width, s.led)
            for s in view.systems
        ],
    )
    [agreement] = view.agreement
    sides = text_table(
        ("choices", "Krippendorff's alpha", "chose the side at A"),
        [(agreement.n_ratings, agreement.alpha, view.chose_a)],
    )
    return [systems, "", sides]


def _attendance_text(view: StudyOverview) -> list[str]:
    """Drop-outs, the time that a session takes, and what the first page says of it."""
    seen, length = view.attendance, view.length
    where = ", ".join(f"{n} {stage}" for stage, n in seen.dropped_out.items())
    lines = [
        f"dropped out: {seen.n_dropped_out} of {seen.agreed} who agreed"
        + (f" ({where}; median sounds answered {seen.sounds_at_drop_out:g})" if where else "")
    ]
    if seen.finished and not view.simulated:
        minutes = f"{seen.median_minutes:.1f} minutes"
        lines.append(f"median time from consent to the last sound: {minutes}")
    said = {"design": "stated", "rehearsal": "rehearsed", "clips": "from the clips' lengths"}
    minutes = f"about {length.minutes} minutes ({said[length.source]})"
    what = "sounds" if view.trial == "rating" else "comparisons"
    return [*lines, f"the first page says: {length.sounds} {what}, {minutes}"]
