from collections import Counter

import numpy as np
import pytest
import soundfile

from humanclap.errors import InputError, LeakageError, TableError
from humanclap.training.data.clips import ClipStore, training_window
from humanclap.training.data.dataset import check_files, read_examples
from humanclap.training.data.splits import make_splits
from humanclap.training.loop.batches import plan_epoch
from humanclap.training.settings import TrainingSettings

SETTINGS = TrainingSettings()
CLOSED = TrainingSettings(allow_shared_captions=True)


@pytest.fixture
def table(tmp_path):
    """Write rows `audio,text,target[,split]` as targets.csv and give its path."""

    def write(*rows, name="targets.csv"):
        path = tmp_path / name
        lines = ["audio,text,target,mos,n,split"]
        for row in rows:
            audio, text, target, *split = row.split(",")
            lines.append(f"{audio},{text},{target},{10 * float(target)},3,{''.join(split)}")
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def distinct(count, split="", start=0):
    return [f"{i}.wav,text {i},{(i % 10) / 10},{split}" for i in range(start, start + count)]


def split_of(path, settings=SETTINGS, **options):
    return make_splits(read_examples(path), settings, table=path, **options)


def test_splits_come_from_the_column_and_other_rows_are_counted(table):
    path = table(
        *distinct(4, "train"), *distinct(3, "validation", 4), *distinct(2, "test", 7), "9.wav,x,0"
    )
    splits = split_of(path)
    assert (len(splits.train), len(splits.validation), splits.unused) == (4, 3, 3)
    assert splits.validation_name == "split 'validation'"


def test_split_names_are_settings(table):
    path = table(*distinct(4, "fit"), *distinct(3, "dev", 4))
    splits = split_of(path, TrainingSettings(train_split="fit", validation_split="dev"))
    assert (len(splits.train), len(splits.validation)) == (4, 3)


def test_a_missing_split_is_refused_with_the_names_that_are_there(table):
    path = table(*distinct(4, "train"), *distinct(3, "test", 4))
    with pytest.raises(TableError, match=r"no row has split 'validation' \(.*'test', 'train'\)"):
        split_of(path)
    with pytest.raises(TableError, match=r"no row has split 'train' \(it is empty\).*--validation"):
        split_of(table(*distinct(5)))


def test_a_validation_fraction_keeps_clips_and_captions_together(table):
    rows = [f"{i // 2}.wav,caption {i} of clip {i // 2},{i / 60}" for i in range(60)]
    splits = split_of(table(*rows), validation_fraction=0.2)
    assert len(splits.validation) == 12
    assert not {e.audio for e in splits.train} & {e.audio for e in splits.validation}


def test_the_validation_fraction_does_not_depend_on_the_seed(table):
    path = table(*distinct(40))
    one, other = (
        split_of(path, TrainingSettings(seed=seed), validation_fraction=0.3) for seed in (1, 2)
    )
    assert one.fingerprint() == other.fingerprint()


def test_rows_of_other_splits_are_not_divided_by_a_fraction_and_the_reason_is_told(table):
    path = table(*distinct(9, split="validation"))
    reason = "none of 9 rows may train: their split is 'validation', and only rows whose split is"
    with pytest.raises(TableError, match=f"{reason} empty or 'train'"):
        split_of(path, validation_fraction=0.2)
    with pytest.raises(TableError, match=reason):
        split_of(path, validation=read_examples(table(*distinct(5), name="v.csv")))
    named = TrainingSettings(train_split="validation", validation_split="none")
    assert len(split_of(path, named, validation_fraction=0.45).validation) == 4


def test_a_validation_fraction_takes_of_anchors_as_of_ratings(tmp_path):
    """40 rated pairs; ten clips have also an anchor each: a fifth of both, to whole groups."""
    lines = ["audio,text,target,mos,n,kind"]
    for i in range(40):
        lines.append(f"{i}.wav,text {i},{i / 40},{i / 4},4,rating")
        if i < 10:
            lines.append(f"{i}.wav,another {i},0,0,4,anchor")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    splits = split_of(tmp_path / "t.csv", validation_fraction=0.2)
    assert Counter(item.kind for item in splits.validation) == {"rating": 8, "anchor": 2}


def test_a_fraction_outside_0_to_1_is_refused(table):
    with pytest.raises(InputError, match="validation fraction is 1; expected between 0 and 1"):
        split_of(table(*distinct(9)), validation_fraction=1.0)


def test_a_clip_in_both_splits_is_refused_however_its_path_is_written(table, tmp_path):
    path = table(*distinct(4, "train"), *distinct(3, "validation", 4), "./1.wav,new,0.3,validation")
    with pytest.raises(LeakageError, match=r"share 1 clip: .*1\.wav"):
        split_of(path)
    with pytest.raises(LeakageError, match="share 1 clip"):
        split_of(path, CLOSED)


def test_a_caption_in_both_splits_is_refused_unless_the_label_set_is_closed(table):
    path = table(*distinct(4, "train"), *distinct(3, "validation", 4), "9.wav,Text  1,1,validation")
    with pytest.raises(LeakageError, match=r"share 1 caption.*humanclap ratings split"):
        split_of(path)
    assert len(split_of(path, CLOSED).validation) == 4


def test_a_closed_label_set_is_divided_by_clip_alone(table):
    rows = [f"{i // 5}.wav,label {i % 5},{i / 100}" for i in range(100)]
    path = table(*rows)
    with pytest.raises(InputError, match="2 splits need as many groups"):
        split_of(path, validation_fraction=0.2)
    splits = split_of(path, CLOSED, validation_fraction=0.2)
    assert (len(splits.train), len(splits.validation)) == (80, 20)
    assert not {e.audio for e in splits.train} & {e.audio for e in splits.validation}


def test_a_validation_table_leaves_the_training_rows_of_the_first(table):
    first = table(*distinct(4, "train"), *distinct(3, "validation", 4), *distinct(2, "", 20))
    second = table(*distinct(5, start=10), name="validation.csv")
    splits = split_of(first, validation=read_examples(second))
    assert (len(splits.train), len(splits.validation), splits.unused) == (6, 5, 3)


def test_too_few_pairs_or_one_target_only_are_refused(table):
    with pytest.raises(TableError, match="2 validation pairs; at least 3 are needed"):
        split_of(table(*distinct(4, "train"), *distinct(2, "validation", 4)))
    with pytest.raises(TableError, match="1 training pairs; at least 2 are needed"):
        split_of(table(*distinct(1, "train"), *distinct(3, "validation", 4)))
    same = [f"{i}.wav,t {i},0.5,validation" for i in range(10, 13)]
    with pytest.raises(TableError, match=r"all 3 validation targets are 0\.5"):
        split_of(table(*distinct(4, "train"), *same))


def test_missing_audio_is_named_with_its_rows_up_to_five(table, tmp_path):
    path = table(*distinct(7))
    soundfile.write(tmp_path / "0.wav", np.zeros(100), 1000)
    with pytest.raises(InputError) as error:
        check_files(read_examples(path))
    message = str(error.value)
    assert message.startswith("6 audio files are missing (is the audio root right?):")
    assert f"{path}:3: {tmp_path / '1.wav'}" in message
    assert message.endswith("and 1 more")


def test_a_missing_audio_root_is_refused(table, tmp_path):
    with pytest.raises(InputError, match="nowhere: audio root is no folder"):
        read_examples(table(*distinct(3)), audio_root=tmp_path / "nowhere")


def test_relative_audio_starts_at_the_audio_root_and_absolute_audio_stays(table, tmp_path):
    path = table("a/x.wav,t,1", f"{tmp_path}/y.wav,u,0")
    root = tmp_path / "clips"
    root.mkdir()
    found = [item.path for item in read_examples(path, audio_root=root)]
    assert found == [root / "a" / "x.wav", tmp_path / "y.wav"]


def test_a_bad_file_is_refused_with_its_row_before_training(table, tmp_path):
    path = table(*distinct(3))
    for name in ("0.wav", "2.wav"):
        soundfile.write(tmp_path / name, np.full(100, 0.1), 1000)
    (tmp_path / "1.wav").write_bytes(b"not a sound")
    with pytest.raises(InputError, match=rf"{path}:3: .*1\.wav: not a sound file"):
        ClipStore(1000, memory_bytes=1e9).decode_all(read_examples(path))


def test_clips_beyond_the_memory_bound_are_decoded_again_to_the_same_samples(tones):
    examples = read_examples(tones)
    kept, decoded = ClipStore(1000, memory_bytes=1e9), ClipStore(1000, memory_bytes=0)
    for store in (kept, decoded):
        store.decode_all(examples)
    path = examples[0].path
    assert decoded.source(path) == path
    assert np.array_equal(kept.samples(path), decoded.samples(path))


def test_the_training_window_is_a_crop_of_a_longer_clip():
    clip = np.arange(10, dtype=np.float32)
    starts = {
        int(training_window(clip, 4, "zero", place)[0]) for place in np.linspace(0, 0.999, 99)
    }
    assert starts == set(range(7))


def test_the_training_window_fills_a_shorter_clip_by_the_models_rule():
    clip = np.float32([1, 2])
    assert training_window(clip, 5, "repeat", 0.9).tolist() == [1, 2, 1, 2, 0]
    assert training_window(clip, 5, "zero", 0.9).tolist() == [1, 2, 0, 0, 0]


def test_an_epoch_meets_every_example_once_in_even_batches():
    plans = plan_epoch(33, 8, seed=1, epoch=2)
    assert sorted(i for plan in plans for i in plan.members) == list(range(33))
    assert sorted({len(plan.members) for plan in plans}) == [6, 7]


def test_the_order_of_an_epoch_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return [i for plan in plan_epoch(50, 8, seed=seed, epoch=epoch) for i in plan.members]

    assert order(1, 2) == order(1, 2)
    assert order(1, 2) != order(1, 3)
    assert order(1, 2) != order(2, 2)
