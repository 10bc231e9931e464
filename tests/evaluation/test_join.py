import math
import re
from dataclasses import replace

import pytest

from humanclap.errors import InputError, SignatureMismatchError
from humanclap.evaluation.join import ScoreTable, join
from humanclap.records import Score, Target


def table(scores, name="ours"):
    return ScoreTable(name=name, scores=scores, where=f"{name}.csv")


def with_error(score, error="broken file"):
    return replace(score, score=math.nan, error=error)


def test_rows_meet_by_key_whatever_their_order(targets, scores_of):
    joined = join([table(scores_of(targets))], targets)
    assert len(joined.targets) == 24
    assert [t.pair_id for t in joined.targets] == [s.pair_id for s in joined.scores["ours"]]
    shuffled = join([table(scores_of(targets)[::-1])], targets[::-1])
    assert shuffled == joined


def told(row):
    """A pair as an error names it: clip and caption, which stand in the table, and its id."""
    return repr(f"{row.audio} | {row.text} (pair_id {row.pair_id})")


def test_a_target_without_a_score_is_refused_by_name(targets, scores_of):
    lost = targets[3]
    scores = [score for score in scores_of(targets) if score.pair_id != lost.pair_id]
    message = (
        f"ours.csv: 1 of 24 targets in targets.csv have no score: {told(lost)}; "
        "score them, or give --allow-missing"
    )
    with pytest.raises(InputError, match=re.escape(message)):
        join([table(scores)], targets, targets_where="targets.csv")


def test_an_error_names_five_pairs_and_counts_the_rest(targets, scores_of):
    with pytest.raises(
        InputError, match=r"12 of 24 .*('[^']*\(pair_id \w{12}\)'(, )?){5} and 7 more"
    ):
        join([table(scores_of(targets)[:12])], targets)


def test_missing_targets_are_reported_when_allowed(targets, scores_of):
    joined = join([table(scores_of(targets)[:20])], targets, allow_missing=True)
    assert len(joined.targets) == 20
    assert set(joined.coverage["ours"].missing) == {target.pair_id for target in targets[:4]}


def test_a_target_whose_clip_could_not_be_scored_is_refused_with_its_reason(targets, scores_of):
    first, *rest = scores_of(targets)
    with pytest.raises(InputError, match=r"1 of 24 .* could not be scored: .*\(broken file\)"):
        join([table([with_error(first), *rest])], targets)


def test_failed_rows_are_reported_when_allowed(targets, scores_of):
    first, *rest = scores_of(targets)
    joined = join([table([with_error(first), *rest])], targets, allow_missing=True)
    assert joined.coverage["ours"].failed == (first.pair_id,)
    assert joined.coverage["ours"].missing == ()
    assert len(joined.targets) == 23


def test_a_row_with_an_error_is_not_judged_even_where_it_has_a_number(targets, scores_of):
    first, *rest = scores_of(targets)
    joined = join([table([replace(first, error="clipped"), *rest])], targets, allow_missing=True)
    assert joined.coverage["ours"].failed == (first.pair_id,)


def test_a_score_without_a_target_is_reported(targets, scores_of):
    stranger = Score(audio="x.wav", text="rain", score=0.1)
    joined = join([table([*scores_of(targets), stranger])], targets)
    assert joined.coverage["ours"].extra == (stranger.pair_id,)


def test_scores_of_targets_left_out_are_not_extra(targets, anchors, scores_of):
    joined = join([table(scores_of([*targets, *anchors]))], targets, left_out=anchors)
    assert joined.coverage["ours"].extra == ()
    assert len(joined.targets) == 24


def test_a_pair_scored_twice_is_refused(targets, scores_of):
    scores = scores_of(targets)
    message = f"ours.csv: 1 pair appears more than once under pair_id: {told(scores[0])}"
    with pytest.raises(InputError, match=re.escape(message)):
        join([table([*scores, scores[0]])], targets, allow_missing=True)


def test_a_target_given_twice_is_refused(targets, scores_of):
    with pytest.raises(InputError, match=r"^t\.csv: 2 pairs appear more than once .*keep one row"):
        join([table(scores_of(targets))], [*targets, *targets[:2]], targets_where="t.csv")


def test_another_audio_root_is_met_by_file_name_and_the_error_says_so(targets, scores_of):
    moved = [
        replace(score, audio=f"C:\\clips\\{score.audio.split('/')[1]}", pair_id="")
        for score in scores_of(targets)
    ]
    with pytest.raises(InputError, match=r"\(with --key audio-name\+text, 24 would match\)"):
        join([table(moved)], targets)
    with pytest.raises(InputError, match=r"with --key audio-name\+text"):
        join([table(moved)], targets, allow_missing=True)
    assert len(join([table(moved)], targets, key="audio-name+text").targets) == 24


def test_a_pair_id_of_one_table_only_is_met_by_audio_and_text(targets, scores_of):
    named = [replace(target, pair_id=f"p{i}") for i, target in enumerate(targets)]
    with pytest.raises(InputError, match=r"with --key audio\+text, 24 would match"):
        join([table(scores_of(targets))], named)
    assert len(join([table(scores_of(targets))], named, key="audio+text").targets) == 24


def test_files_of_one_name_in_two_folders_are_refused_under_the_file_name():
    targets = [
        Target(audio=f"{folder}/1.wav", text="rain", target=0.5, mos=5.0, n=2) for folder in "ab"
    ]
    scores = [Score(audio=target.audio, text="rain", score=0.1) for target in targets]
    with pytest.raises(InputError, match=r"different folders\? then --key audio\+text"):
        join([table(scores)], targets, key="audio-name+text")


def test_unlike_signatures_in_one_table_are_refused_unless_forced(targets, scores_of):
    first, *rest = scores_of(targets)
    mixed = [replace(first, signature="humanclap:0.1.0|model:other@00000000"), *rest]
    with pytest.raises(
        SignatureMismatchError, match=r"(?s)^ours\.csv: scores made in 2 ways.*--force"
    ):
        join([table(mixed)], targets)
    forced = join([table(mixed)], targets, force=True).coverage["ours"]
    assert (forced.signature, forced.signatures) == (None, 2)


def test_rows_without_a_signature_among_signed_ones_are_counted(targets, scores_of):
    first, *rest = scores_of(targets)
    joined = join([table([replace(first, signature=None), *rest])], targets)
    assert joined.coverage["ours"].unsigned == 1


def test_several_tables_are_judged_on_the_pairs_all_of_them_scored(targets, scores_of):
    one, two = table(scores_of(targets)[:20], "one"), table(scores_of(targets)[2:], "two")
    joined = join([one, two], targets, allow_missing=True)
    assert len(joined.targets) == 18
    assert len(joined.coverage["one"].missing) == 4
    assert len(joined.coverage["two"].missing) == 2


def test_two_tables_of_one_name_are_refused(targets, scores_of):
    with pytest.raises(InputError, match="one name"):
        join([table(scores_of(targets)), table(scores_of(targets))], targets)


def test_nothing_in_common_is_refused_even_when_missing_rows_are_allowed(targets):
    stranger = Score(audio="x.wav", text="rain", score=0.1)
    with pytest.raises(InputError, match="no target has a score in every table"):
        join([table([stranger])], targets, allow_missing=True)
