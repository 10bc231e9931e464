"""Every kind of audio that a caller may have: each scores as the file it comes from."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from numpy.typing import NDArray
from scipy import signal

from humanclap.audio import SoundBytes, Waveform
from humanclap.errors import AudioError, InputError
from humanclap.scoring.inputs import clip_of, clips_of, paired
from humanclap.scoring.scorer import HumanCLAP

RATE = 32000
TEXT = "a dog barks"


class Pathlike:
    """Not a Path, and no string."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


@pytest.fixture(scope="module")
def samples() -> NDArray[np.int16]:
    """A second of 16-bit sound, which float16 (11 digits) too holds without rounding."""
    noise = np.random.default_rng(5).integers(-1000, 1000, RATE)
    return (8 * noise).astype(np.int16)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, samples: NDArray[np.int16]) -> Path:
    path = tmp_path_factory.mktemp("inputs") / "dog.wav"
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture(scope="module")
def expected(scorer: HumanCLAP, file: Path) -> float:
    return scorer.score(file, TEXT)


KINDS: dict[str, Callable[[Path, NDArray[np.int16]], Any]] = {
    "str": lambda file, x: str(file),
    "Path": lambda file, x: file,
    "os.PathLike": lambda file, x: Pathlike(file),
    "bytes": lambda file, x: file.read_bytes(),
    "bytearray": lambda file, x: bytearray(file.read_bytes()),
    "memoryview": lambda file, x: memoryview(file.read_bytes()),
    "SoundBytes": lambda file, x: SoundBytes(data=file.read_bytes()),
    "BytesIO": lambda file, x: io.BytesIO(file.read_bytes()),
    "dict of stored bytes": lambda file, x: {"bytes": file.read_bytes(), "path": "a.wav"},
    "dict of a stored path": lambda file, x: {"bytes": None, "path": str(file)},
    "Waveform": lambda file, x: Waveform(samples=x, sample_rate=RATE),
    "datasets dict": lambda file, x: {"array": x / 2**15, "sampling_rate": RATE, "path": None},
    "datasets dict of tensors": lambda file, x: {
        "array": torch.from_numpy(x / 2**15),
        "sampling_rate": torch.tensor(RATE),
    },
    "torchcodec's AudioDecoder": lambda file, x: SimpleNamespace(
        get_all_samples=lambda: SimpleNamespace(
            data=torch.from_numpy(x / 2**15).float()[None], sample_rate=RATE
        )
    ),
}
SAMPLES: dict[str, Callable[[NDArray[np.int16]], Any]] = {
    "list of floats": lambda x: (x / 2**15).tolist(),
    "tuple of floats": lambda x: tuple((x / 2**15).tolist()),
    "float16": lambda x: (x / 2**15).astype(np.float16),
    "float32": lambda x: (x / 2**15).astype(np.float32),
    "float64": lambda x: x / 2**15,
    "longdouble": lambda x: (x / 2**15).astype(np.longdouble),
    "big-endian": lambda x: x.astype(">i2"),
    "int16": lambda x: x,
    "int32": lambda x: x.astype(np.int32) << 16,
    "tensor of float16": lambda x: torch.from_numpy(x / 2**15).half(),
    "tensor of float32": lambda x: torch.from_numpy(x / 2**15).float(),
    "tensor of float64": lambda x: torch.from_numpy(x / 2**15),
    "tensor of int16": lambda x: torch.from_numpy(x),
    "tensor with a gradient": lambda x: torch.from_numpy(x / 2**15).requires_grad_(),
    "(1, T)": lambda x: torch.from_numpy(x)[None],
    "(T, 1)": lambda x: x[:, None],
    "(1, 1, T)": lambda x: torch.from_numpy(x)[None, None],
    "(2, T)": lambda x: torch.from_numpy(np.stack([x, x])),
    "(T, 2)": lambda x: np.stack([x, x], axis=1),
    "(2, T) of numpy": lambda x: np.stack([x, x]),
    "(T, 4)": lambda x: np.stack([x] * 4, axis=1),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_with_its_own_rate_scores_as_the_file(
    scorer: HumanCLAP, file: Path, samples: NDArray[np.int16], expected: float, kind: str
) -> None:
    assert scorer.score(KINDS[kind](file, samples), TEXT) == pytest.approx(expected, abs=1e-6)
    several = [KINDS[kind](file, samples), KINDS[kind](file, samples)]
    assert scorer.score_many(several, TEXT).tolist() == pytest.approx([expected] * 2, abs=1e-6)
    with pytest.raises(InputError, match="leave sample_rate away"):
        scorer.score(KINDS[kind](file, samples), TEXT, sample_rate=RATE)


@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_with_their_rate_score_as_the_file(
    scorer: HumanCLAP, samples: NDArray[np.int16], expected: float, kind: str
) -> None:
    one = SAMPLES[kind](samples)
    assert scorer.score(one, TEXT, sample_rate=RATE) == pytest.approx(expected, abs=1e-6)
    two = scorer.score_many([one, SAMPLES[kind](samples)], TEXT, sample_rate=RATE)
    assert two.tolist() == pytest.approx([expected] * 2, abs=1e-6)
    with pytest.raises(InputError, match="needs its sample_rate"):
        scorer.score(one, TEXT)


@pytest.mark.parametrize(("dtype", "zero", "full"), [("uint8", 128, 128), ("int8", 0, 128)])
@pytest.mark.parametrize("of", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_eight_bits_are_scaled_as_soundfile_scales_them(
    scorer: HumanCLAP, samples: NDArray[np.int16], dtype: str, zero: int, full: int, of: Any
) -> None:
    eight = (samples // 256 + zero).astype(dtype)
    floats = (eight.astype(np.float32) - zero) / full
    found = scorer.embed_audio(of(eight), sample_rate=RATE)
    assert np.array_equal(found, scorer.embed_audio(floats, sample_rate=RATE))


def test_uint8_is_what_a_file_of_eight_bits_holds(
    scorer: HumanCLAP, samples: NDArray[np.int16], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_U8")
    stored = (tmp_path / "a.wav").read_bytes()[-RATE:]
    of_file = scorer.embed_audio(tmp_path / "a.wav")
    of_array = scorer.embed_audio(np.frombuffer(stored, np.uint8), sample_rate=RATE)
    assert np.array_equal(of_file, of_array)


def test_bfloat16_is_taken_for_the_float32_it_stands_for(scorer: HumanCLAP) -> None:
    half = (0.1 * torch.randn(RATE, generator=torch.Generator().manual_seed(0))).bfloat16()
    found = scorer.embed_audio(half, sample_rate=RATE)
    assert np.array_equal(found, scorer.embed_audio(half.float(), sample_rate=RATE))


@pytest.mark.parametrize("dtype", ["int64", "uint16", "bool", "complex64"])
@pytest.mark.parametrize("of", [np.asarray, torch.from_numpy], ids=["array", "tensor"])
def test_types_without_a_full_scale_are_refused(scorer: HumanCLAP, dtype: str, of: Any) -> None:
    with pytest.raises(AudioError, match=f"samples are {dtype}; expected one of float16"):
        scorer.score(of(np.ones(RATE, dtype)), TEXT, sample_rate=RATE)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000, 192000])
def test_an_array_of_any_rate_scores_as_a_file_of_that_rate(
    scorer: HumanCLAP, tmp_path: Path, rate: int
) -> None:
    t = np.arange(rate) / rate
    tone = (0.4 * signal.chirp(t, 100, 1, 3500)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype="FLOAT")
    of_file = scorer.score(tmp_path / "a.wav", TEXT)
    tensor = torch.from_numpy(tone)
    assert scorer.score(tensor, TEXT, sample_rate=rate) == of_file
    assert scorer.score_many(tensor[None], [TEXT], sample_rate=rate).tolist() == [of_file]


@pytest.fixture(scope="module")
def batch() -> torch.Tensor:
    return 0.1 * torch.randn(4, RATE, generator=torch.Generator().manual_seed(1))


def test_a_batch_is_the_list_of_its_rows(scorer: HumanCLAP, batch: torch.Tensor) -> None:
    expected = [scorer.score(row, TEXT, sample_rate=RATE) for row in batch]
    for one in (batch, batch.numpy(), batch[:, None], list(batch), tuple(batch.numpy())):
        found = scorer.score_many(one, TEXT, sample_rate=RATE)
        assert found.tolist() == pytest.approx(expected, abs=1e-6)
    stereo = torch.stack([batch, batch], dim=1)  # (4, 2, T)
    found = scorer.score_many(stereo, [TEXT] * 4, sample_rate=RATE)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)


def test_two_rows_are_two_clips_where_two_texts_say_so_and_refused_where_nothing_does(
    scorer: HumanCLAP, batch: torch.Tensor
) -> None:
    two = batch[:2]
    expected = [scorer.score(row, TEXT, sample_rate=RATE) for row in two]
    found = scorer.score_many(two, [TEXT, TEXT], sample_rate=RATE)
    assert found.tolist() == pytest.approx(expected, abs=1e-6)
    for ask in (scorer.score_many, scorer.predict, scorer.similarity, scorer.rate):
        with pytest.raises(InputError, match="may be 2 clips or one clip of 2 channels"):
            ask(two, TEXT, sample_rate=RATE)
    with pytest.raises(InputError, match="may be 2 clips or one clip of 2 channels"):
        scorer.embed_audio(two, sample_rate=RATE)
    assert scorer.embed_audio(two[:, None], sample_rate=RATE).shape[0] == 2
    assert scorer.embed_audio([two], sample_rate=RATE).shape[0] == 1


def test_a_batch_where_one_clip_is_meant_is_refused(scorer: HumanCLAP, batch: torch.Tensor) -> None:
    with pytest.raises(InputError, match="may be 4 clips or one clip of 4 channels"):
        scorer.score(batch, TEXT, sample_rate=RATE)
    with pytest.raises(InputError, match=r"audio\[1\]: shape \(4, 32000\) may be 4 clips"):
        scorer.score_many([batch[0], batch], TEXT, sample_rate=RATE)
    with pytest.raises(InputError, match="score_many and predict take batches"):
        scorer.score(batch[:, None], TEXT, sample_rate=RATE)
    with pytest.raises(InputError, match="expected \\(time,\\)"):
        scorer.score_many(batch[None, None], TEXT, sample_rate=RATE)


def test_one_text_goes_with_many_clips_and_one_clip_with_many_texts(
    scorer: HumanCLAP, clips: Path
) -> None:
    paths, texts = [clips / f"clip{n}.wav" for n in (0, 2, 5)], ["a dog barks", "rain", "wind"]
    one_text = [scorer.score(path, "rain") for path in paths]
    assert scorer.score_many(paths, "rain").tolist() == pytest.approx(one_text, abs=1e-6)
    one_clip = [scorer.score(paths[0], text) for text in texts]
    assert scorer.score_many(paths[0], texts).tolist() == pytest.approx(one_clip, abs=1e-6)
    assert scorer.score_many(str(paths[0]), "rain").tolist() == pytest.approx(one_text[:1])
    with pytest.raises(InputError, match="1 clips and 3 texts"):
        scorer.score_many(paths[:1], texts)
    with pytest.raises(InputError, match="3 clips and 1 texts"):
        scorer.score_many(paths, ["rain"])


def test_a_bare_string_is_one_clip_or_one_text(scorer: HumanCLAP, file: Path) -> None:
    assert np.array_equal(scorer.embed_audio(str(file)), scorer.embed_audio([str(file)]))
    assert np.array_equal(scorer.embed_text("dog"), scorer.embed_text(["dog"]))
    assert (
        scorer.embed_audio([]).shape
        == scorer.embed_text([]).shape
        == (0, scorer.backbone.embedding_dim)
    )
    assert scorer.score_many([], TEXT).shape == scorer.score_many(str(file), []).shape == (0,)


def test_iterables_and_columns_of_paths_are_lists(scorer: HumanCLAP, clips: Path) -> None:
    paths = [str(clips / f"clip{n}.wav") for n in (0, 2)]
    expected = scorer.score_many(paths, ["rain", "wind"])
    for column in (np.array(paths), np.array(paths, object), iter(paths), dict.fromkeys(paths)):
        items = list(column) if isinstance(column, dict) else column
        assert np.array_equal(scorer.score_many(items, np.array(["rain", "wind"])), expected)
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"audio": paths, "text": ["rain", "wind"]})
    assert np.array_equal(scorer.score_many(frame.audio, frame.text), expected)
    with pytest.raises(InputError, match=r"texts are a DataFrame of 2 axes; .* one column"):
        scorer.score_many(paths[:1], frame[["text"]])  # goes through as the names of its columns


@pytest.mark.parametrize("kind", [np.str_, np.array, lambda text: np.array(text, object)])
def test_strings_of_numpy_are_single_items(
    scorer: HumanCLAP, file: Path, expected: float, kind: Callable[[str], Any]
) -> None:
    """They have `__array__`, and some have letters to go through."""
    assert scorer.score_many(kind(str(file)), [TEXT]) == pytest.approx([expected], abs=1e-6)
    assert scorer.score_many([file, file], kind(TEXT)) == pytest.approx([expected] * 2, abs=1e-6)
    sound = np.bytes_(file.read_bytes() + b"\1")  # numpy drops zeros at the end
    assert scorer.score_many(sound, TEXT) == pytest.approx([expected], abs=1e-6)


def test_sets_are_refused_as_nothing_says_which_clip_goes_with_which_text(file: Path) -> None:
    with pytest.raises(InputError, match="clips are a set, which has no order; give a list"):
        paired({str(file)}, [TEXT], None)
    with pytest.raises(InputError, match="texts are a set, which has no order; give a list"):
        paired(str(file), frozenset([TEXT, "rain"]), None)


def test_files_and_samples_in_one_list_are_told_how(scorer: HumanCLAP, file: Path) -> None:
    samples = soundfile.read(file, dtype="float32")[0]
    with pytest.raises(InputError, match=r"audio\[1\]: an array of samples needs its sample_rate"):
        scorer.predict([file, samples], TEXT)
    with pytest.raises(InputError, match=r"audio\[0\] is a sound file .* Waveform\(samples=x"):
        scorer.predict([file, samples], TEXT, sample_rate=RATE)
    both = scorer.predict([file, Waveform(samples=samples, sample_rate=RATE)], TEXT).scores
    assert both[0] == pytest.approx(both[1], abs=1e-6)


@pytest.mark.parametrize(
    "empty",
    [[], np.zeros(0), np.zeros((0, 2)), torch.zeros(0), torch.zeros(2, 0), torch.zeros(1, 0)],
    ids=["list", "(0,)", "(0, 2)", "tensor", "(2, 0)", "(1, 0)"],
)
def test_a_clip_without_samples_is_refused(scorer: HumanCLAP, empty: Any) -> None:
    with pytest.raises(AudioError, match="holds no samples"):
        scorer.score(empty, TEXT, sample_rate=RATE)


def test_an_empty_file_is_refused_whether_on_the_disk_or_in_memory(
    scorer: HumanCLAP, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").touch()
    for empty in (tmp_path / "a.wav", b"", io.BytesIO()):
        with pytest.raises(AudioError, match="empty \\(0 bytes\\)"):
            scorer.score(empty, TEXT)


def test_a_batch_of_no_clips_and_clips_of_no_samples_are_told_apart(scorer: HumanCLAP) -> None:
    assert scorer.score_many(torch.zeros(0, RATE), [], sample_rate=RATE).shape == (0,)
    assert scorer.score_many(torch.zeros(0, RATE), TEXT, sample_rate=RATE).shape == (0,)
    table = scorer.predict(torch.zeros(3, 0), [TEXT] * 3, sample_rate=RATE)
    assert ["no samples" in str(problem) for problem in table.problems] == [True] * 3


def test_an_open_file_is_read_from_its_beginning_and_left_where_it_stood(
    scorer: HumanCLAP, file: Path, expected: float
) -> None:
    with open(file, "rb") as stream:
        stream.seek(1000)
        assert scorer.score(stream, TEXT) == pytest.approx(expected, abs=1e-6)
        assert stream.tell() == 1000
    with pytest.raises(InputError, match=r"dog\.wav: cannot be read .* still open"):
        scorer.score(stream, TEXT)
    with open(file) as words, pytest.raises(InputError, match="was it opened with 'rb'"):
        scorer.score(words, TEXT)  # type: ignore[arg-type]
    with open(file, encoding="latin-1") as words, pytest.raises(InputError, match="with 'rb'"):
        scorer.score(words, TEXT)  # type: ignore[arg-type]


def test_a_pipe_is_read_from_where_it_stands(
    scorer: HumanCLAP, file: Path, expected: float
) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.left = file.read_bytes()

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            given, self.left = self.left, b""
            return given

    assert scorer.score(Pipe(), TEXT) == pytest.approx(expected, abs=1e-6)


def test_bytes_that_are_a_path_are_refused(scorer: HumanCLAP, file: Path) -> None:
    with pytest.raises(InputError, match=r"os\.fsdecode\(path\)"):
        scorer.score(os.fsencode(file), TEXT)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (None, "a NoneType is no clip"),
        (3.0, "3.0 is a single number; expected a path"),
        (torch.tensor(0.5), "tensor\\(0.5000\\) is a single number"),
        ({"sampling_rate": 16000}, "a dict with the keys sampling_rate; expected"),
        ({"array": [0.0], "path": None}, "needs its sample_rate"),
        (["a.wav", "b.wav"], "a list is no clip"),
        ([[0.0, 0.1], [0.2]], "no array of samples"),
        (object(), "a object is no clip"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_is_no_clip_is_refused_by_its_type(clip: Any, message: str) -> None:
    rates = [None] if isinstance(clip, dict) else [RATE, None]
    for rate in rates:
        with pytest.raises(InputError, match=message):
            clip_of(clip, rate)


def test_a_decoder_that_fails_is_told_of() -> None:
    def fail() -> None:
        raise RuntimeError("Invalid data found")

    with pytest.raises(AudioError, match=r"audio\[0\]: cannot be decoded \(Invalid data found\)"):
        clips_of([SimpleNamespace(get_all_samples=fail)], None)  # type: ignore[list-item]


def test_errors_name_the_place_in_a_list() -> None:
    with pytest.raises(InputError, match=r"audio\[2\]: a NoneType is no clip"):
        clips_of([np.zeros(RATE), np.zeros(RATE), None], RATE)  # type: ignore[list-item]
    with pytest.raises(InputError, match=r"texts\[0\] is None"):
        paired(["a.wav"], [None], None)  # type: ignore[list-item]
    with pytest.raises(InputError, match="text is a bytes"):
        paired(["a.wav"], b"rain", None)  # type: ignore[arg-type]
    with pytest.raises(AudioError, match=r"sample_rate is 16000\.5; expected Hz"):
        clip_of(np.zeros(RATE), 16000.5)  # type: ignore[arg-type]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA here")
def test_a_tensor_on_the_gpu_scores_as_on_the_cpu(scorer: HumanCLAP, batch: torch.Tensor) -> None:
    on_cpu = scorer.score_many(batch, TEXT, sample_rate=RATE)
    assert np.array_equal(scorer.score_many(batch.cuda(), TEXT, sample_rate=RATE), on_cpu)
