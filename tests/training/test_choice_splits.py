"""Choices are read, divided beside the ratings, and kept from leaking into them."""

import numpy as np
import pytest

from humanclap.errors import InputError, LeakageError, SettingsError, TableError
from humanclap.training.data.choices import accuracy, credits, read_choice_examples
from humanclap.training.data.dataset import check_files, read_examples
from humanclap.training.data.splits import ChoiceRows, make_splits
from humanclap.training.settings import TrainingSettings

BOTH = TrainingSettings(objective="mse+choice")
ALONE = TrainingSettings(objective="choice")
RATED = "audio,text,target,mos,n,split\n"
TEXTS = "audio,text_a,text_b,n_first,n_second,n_equal,split\n"
CLIPS = "text,audio_a,audio_b,n_first,n_second,n_equal,split\n"


@pytest.fixture
def table(tmp_path):
    """Rows -> path of a table."""

    def write(head, rows, name):
        (tmp_path / name).write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
        return tmp_path / name

    return write


@pytest.fixture
def rated(table):
    """Six training and four validation pairs, r0.wav to r9.wav."""
    rows = [
        f"r{i}.wav,rated {i},{i / 10},{i},4,{'train' if i < 6 else 'validation'}" for i in range(10)
    ]
    return table(RATED, rows, "targets.csv")


def asked(count, split="train", start=0):
    return [f"c{i}.wav,good {i},bad {i},3,1,0,{split}" for i in range(start, start + count)]


def split_of(targets, choices, settings=BOTH, second=None, **options):
    rows = ChoiceRows(
        examples=read_choice_examples(choices),
        table=choices,
        validation=None if second is None else read_choice_examples(second),
    )
    examples = [] if targets is None else read_examples(targets)
    return make_splits(examples, settings, table=targets or choices, choices=rows, **options)


def test_a_vote_for_neither_is_half_a_vote_for_each(table, tmp_path):
    path = table(TEXTS, ["a.wav,x,y,2,1,1,", "b.wav,x,y,0,0,4,"], "c.csv")
    first, second = read_choice_examples(path)
    assert (first.share, first.votes, first.decided) == (2.5 / 4, 4, True)
    assert (second.share, second.decided) == (0.5, False)
    assert [side.text for side in first.sides] == ["x", "y"]
    assert {side.path for side in first.sides} == {tmp_path / "a.wav"}
    assert (first.between, len(first.clips), first.cluster) == (
        "texts",
        1,
        str(tmp_path / "a.wav"),
    )


def test_two_clips_of_a_text_are_both_heard(table, tmp_path):
    (one,) = read_choice_examples(table(CLIPS, ["rain,a.wav,b.wav,1,3,0,"], "c.csv"))
    assert [side.path.name for side in one.clips] == ["a.wav", "b.wav"]
    assert (one.between, one.cluster, one.share) == ("clips", "rain", 0.25)


def test_accuracy_is_over_decided_choices_and_equal_scores_are_half(table):
    rows = ["a.wav,x,y,4,0,0,", "b.wav,x,y,1,3,0,", "c.wav,x,y,1,1,2,", "d.wav,x,y,3,1,0,"]
    choices = read_choice_examples(table(TEXTS, rows, "c.csv"))
    gaps = np.array([0.2, 0.1, 0.4, 0.0])
    earned, clusters = credits(gaps, choices)
    assert earned.tolist() == [1.0, 0.0, 0.5]
    assert [name[-5:] for name in clusters] == ["a.wav", "b.wav", "d.wav"]
    assert accuracy(gaps, choices) == 0.5
    assert np.isnan(accuracy(np.array([1.0]), [choices[2]]))
    assert np.isnan(accuracy(np.array([np.nan] * 4), choices))


def test_choices_go_by_their_split_and_an_empty_one_trains(rated, table):
    rows = [*asked(3), *asked(2, "", 3), *asked(4, "validation", 5), *asked(1, "test", 9)]
    splits = split_of(rated, table(TEXTS, rows, "c.csv"))
    assert (len(splits.train_choices), len(splits.validation_choices)) == (5, 4)
    assert splits.unused_choices == 1
    assert (len(splits.train), len(splits.validation)) == (6, 4)
    assert len(splits.trained) == 6 + 2 * 5
    assert len(splits.validated) == 4 + 2 * 4


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("r7.wav,new,other,3,1,0,train", "share 1 clip"),
        ("c9.wav,Rated  8,other,3,1,0,train", "share 1 caption: 'rated 8'"),
        ("c9.wav,other,rated 8,3,1,0,train", "share 1 caption: 'rated 8'"),
        ("r2.wav,new,other,3,1,0,validation", "share 1 clip"),
        ("c9.wav,rated 3,other,3,1,0,validation", "share 1 caption: 'rated 3'"),
        ("c1.wav,new,other,3,1,0,validation", "share 1 clip"),
    ],
)
def test_a_clip_or_caption_on_both_sides_is_refused_across_ratings_and_choices(
    rated, table, row, message
):
    with pytest.raises(LeakageError, match=message):
        split_of(rated, table(TEXTS, [*asked(4), row], "c.csv"))


def test_the_second_clip_of_a_choice_leaks_as_the_first_does(rated, table):
    for row in ("new,c1.wav,r7.wav,3,1,0,train", "new,r7.wav,c1.wav,3,1,0,train"):
        with pytest.raises(LeakageError, match="share 1 clip"):
            split_of(rated, table(CLIPS, [row], "c.csv"))


def test_a_fraction_divides_ratings_and_choices_together_by_clip_and_caption(table):
    """Rating i and choice i share a clip; choices 2 i and 2 i + 1 share a caption."""
    rated = [f"{i}.wav,rated {i},{i / 40},{i / 4},4," for i in range(40)]
    rows = [f"{i}.wav,good {i // 2},bad {i},3,1,0," for i in range(40)]
    splits = split_of(
        table(RATED, rated, "t.csv"), table(TEXTS, rows, "c.csv"), validation_fraction=0.25
    )
    assert (len(splits.validation), len(splits.validation_choices)) == (10, 10)
    assert {item.path for item in splits.validation} == {
        choice.first.path for choice in splits.validation_choices
    }
    assert "pairs and choices" in splits.validation_name
    good = {choice.first.text for choice in splits.train_choices}
    assert not good & {choice.first.text for choice in splits.validation_choices}


def test_closed_label_sets_are_divided_by_clip_and_sides_stay_together(table):
    closed = TrainingSettings(objective="choice", allow_shared_captions=True)
    rows = [f"label,{2 * i}.wav,{2 * i + 1}.wav,3,1,0," for i in range(20)]
    splits = split_of(None, table(CLIPS, rows, "c.csv"), closed, validation_fraction=0.2)
    assert (len(splits.train_choices), len(splits.validation_choices)) == (16, 4)
    clips = {side.path for choice in splits.train_choices for side in choice.sides}
    assert not clips & {s.path for choice in splits.validation_choices for s in choice.sides}


def test_a_second_table_of_choices_validates(rated, table):
    first = table(TEXTS, asked(5), "c.csv")
    second = table(TEXTS, asked(4, "test", 10), "v.csv")
    splits = split_of(rated, first, second=second)
    assert (len(splits.train_choices), len(splits.validation_choices)) == (5, 4)


def test_choices_alone_need_no_ratings(table):
    splits = split_of(None, table(TEXTS, [*asked(5), *asked(3, "validation", 5)], "c.csv"), ALONE)
    assert (splits.train, splits.validation) == ((), ())
    assert len(splits.validation_choices) == 3


def test_ratings_no_term_learns_from_do_not_train(rated, table):
    splits = split_of(rated, table(TEXTS, asked(5), "c.csv"), ALONE)
    assert (len(splits.train), len(splits.validation), splits.unused) == (0, 4, 6)


def test_what_the_objective_and_the_tables_do_not_share_is_refused(rated, table):
    choices = table(TEXTS, [*asked(5), *asked(4, "validation", 5)], "c.csv")
    with pytest.raises(SettingsError, match=r"5 choices may train .* --objective mse\+choice"):
        split_of(rated, choices, TrainingSettings(objective="mse"))
    with pytest.raises(SettingsError, match="needs people's choices; give them with --choices"):
        make_splits(read_examples(rated), BOTH, table=rated)
    with pytest.raises(SettingsError, match="learns from ratings and there are none"):
        split_of(None, choices)
    only = table(TEXTS, asked(4, "validation", 5), "v.csv")
    with pytest.raises(TableError, match=r"v\.csv: none of 4 rows may train: their split is 'val"):
        split_of(rated, only)
    reported = split_of(rated, only, TrainingSettings(objective="mse"))
    assert len(reported.validation_choices) == 4


def test_too_few_decided_choices_cannot_choose_the_epoch(rated, table):
    undecided = ["u.wav,x,y,2,2,0,validation"]
    path = table(TEXTS, [*asked(5), *asked(2, "validation", 5), *undecided], "c.csv")
    with pytest.raises(TableError, match=r"c\.csv: 2 validation choices have a majority"):
        split_of(None, path, ALONE)
    assert split_of(rated, path).validation_choices
    by_accuracy = TrainingSettings(objective="mse+choice", best_by="accuracy")
    with pytest.raises(TableError, match="2 validation choices have a majority"):
        split_of(rated, path, by_accuracy)
    by_srcc = TrainingSettings(objective="choice", best_by="srcc")
    enough = table(TEXTS, [*asked(5), *asked(3, "validation", 5)], "d.csv")
    with pytest.raises(SettingsError, match="best_by = 'srcc' needs rated validation pairs"):
        split_of(None, enough, by_srcc)


def test_votes_are_part_of_the_fingerprint(rated, table):
    one, other = (
        split_of(rated, table(TEXTS, [*asked(5), row], name)).fingerprint()
        for row, name in (("x.wav,a,b,3,1,0,", "a.csv"), ("x.wav,a,b,1,3,0,", "b.csv"))
    )
    assert one != other


def test_missing_clips_of_choices_are_named_with_table_and_question(rated, table):
    splits = split_of(rated, table(CLIPS, ["rain,a.wav,b.wav,1,3,0,"], "c.csv"))
    with pytest.raises(InputError, match=r"c\.csv \('rain': a\.wav or b\.wav\): .*a\.wav"):
        check_files(splits.trained[6:])
