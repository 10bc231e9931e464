from __future__ import annotations

from dataclasses import replace

import pytest

from humanclap.errors import InputError, SignatureMismatchError
from humanclap.signature import Signature, common_signature, comparable

SIGNATURE = Signature(
    version="0.1.0",
    model="sarulab-speech/human-clap-wsce",
    fingerprint="3f9a1c2d",
    sample_rate=48000,
    window_s=10,
    hop_s=2.5,
    fill="repeat",
)


def test_a_signature_is_one_line_that_can_be_read_again():
    line = (
        "humanclap:0.1.0|model:sarulab-speech/human-clap-wsce@3f9a1c2d|rate:48000|window:10s"
        "|hop:2.5s|fill:repeat|pool:mean|precision:fp32"
    )
    assert str(SIGNATURE) == line
    assert Signature.parse(line) == SIGNATURE


def test_a_model_named_by_an_odd_path_is_read_again():
    odd = replace(SIGNATURE, model="C:/models/a@b")
    assert Signature.parse(str(odd)) == odd


@pytest.mark.parametrize("text", ["", "humanclap:0.1.0", "BLEU|nrefs:1", "x:1|y:2"])
def test_what_is_no_signature_is_refused(text):
    with pytest.raises(InputError, match="not a humanclap signature"):
        Signature.parse(text)


def test_scores_of_one_signature_or_none_have_it_in_common():
    assert common_signature(["s", None, "s"], where="a.csv") == "s"
    assert common_signature([None, None], where="a.csv") is None
    assert common_signature([], where="a.csv") is None


def test_mixed_signatures_are_refused_with_two_of_them():
    with pytest.raises(SignatureMismatchError) as caught:
        common_signature(["one", "two", "three"], where="a.csv")
    assert str(caught.value).startswith("a.csv: scores made in 3 ways are mixed, for example\n")
    assert "  one\n  three\n" in str(caught.value)


COMMIT = "06788887d254df15db5c0ca9d54da39d46188063"


def test_the_commit_of_a_model_of_the_hub_stands_behind_its_fingerprint():
    pinned = replace(SIGNATURE, revision=COMMIT)
    assert f"@3f9a1c2d|revision:{COMMIT}|rate:48000|" in str(pinned)
    assert Signature.parse(str(pinned)) == pinned
    assert comparable(str(pinned)) == str(SIGNATURE) == comparable(str(SIGNATURE))


def test_scores_of_the_same_weights_at_two_commits_are_compared_without_naming_one():
    pinned, folder = str(replace(SIGNATURE, revision=COMMIT)), str(SIGNATURE)
    other = str(replace(SIGNATURE, revision=COMMIT[::-1]))
    assert common_signature([pinned, pinned], where="a.csv") == pinned
    assert common_signature([pinned, folder, other], where="a.csv") == folder
    unlike = str(replace(SIGNATURE, fingerprint="00000000", revision=COMMIT))
    with pytest.raises(SignatureMismatchError, match="made in 2 ways"):
        common_signature([pinned, unlike], where="a.csv")


def test_the_engine_stands_in_a_signature_where_it_is_not_torch():
    plain = Signature(
        version="0.1.0", model="clap", fingerprint="3f9a1c2d", sample_rate=48000, window_s=10,
        hop_s=10, fill="repeat",
    )  # fmt: skip
    other = replace(plain, engine="openvino")
    assert str(other) == f"{plain}|engine:openvino"
    assert Signature.parse(str(other)) == other
    assert Signature.parse(str(plain)).engine == "torch"
    with pytest.raises(SignatureMismatchError):
        common_signature([str(plain), str(other)], where="table")
