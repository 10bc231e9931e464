from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tiny_hf import write_clap
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from humanclap.clap.hf import HFCLAP
from humanclap.clap.mini import MiniCLAP, MiniConfig
from humanclap.clap.text_account import TextAccount, account_of, language_doubt

FOREIGN = [
    "犬が吠えている",
    "雨が降っている",
    "Лает собака",
    "дождь",
    "一只狗在叫，鸟在唱歌",
    "猫",
    "كلب ينبح",
    "개가 짖는다",
    "σκύλος γαβγίζει",
    "ฝนตก",
    "बारिश हो रही है",
]
READABLE = [
    *("whoosh", "brrr", "pfft", "zzz", "tsk tsk", "Hz", "440 Hz", "TV", "AC/DC", "R2-D2"),
    *("Björk", "Citroën", "Škoda", "Zoë", "Bosch GSB 18V", "Xylophon", "440", "...", "!!!"),
    *("a dog 🐕 barks", "an old man says «да»", "α-wave tone at 10 Hz"),
]


@pytest.fixture(scope="module")
def mini() -> MiniCLAP:
    return MiniCLAP.from_pretrained()


@pytest.fixture(scope="module")
def hf(tmp_path_factory: pytest.TempPathFactory) -> HFCLAP:
    pytest.importorskip("transformers")
    return HFCLAP.from_pretrained(write_clap(tmp_path_factory.mktemp("hf") / "clap"))


@pytest.mark.parametrize("text", FOREIGN)
def test_a_text_in_letters_the_model_never_met_is_not_readable(mini, text):
    (account,) = mini.text_accounts([text])
    assert account.unread == 1.0
    assert not account.readable
    assert "does not know 100% of the letters" in account.refusal()


@pytest.mark.parametrize("text", READABLE)
def test_names_noises_and_numbers_are_readable(mini, text):
    (account,) = mini.text_accounts([text])
    assert account.readable


@pytest.mark.parametrize("text", FOREIGN)
def test_bytes_of_letters_are_no_letters(hf, text):
    (account,) = hf.text_accounts([text])
    assert account.unread > 0.7
    assert not account.readable


@pytest.mark.parametrize("text", READABLE)
def test_latin_letters_spelt_out_are_letters_still(hf, text):
    assert hf.text_accounts([text])[0].readable


def test_real_captions_are_all_readable_and_whole(mini, shared: Path):
    texts = set()
    for name in ("relate/scores/REL.csv", "audiocaps/captions.csv"):
        with open(shared / "data" / name, encoding="utf-8-sig", newline="") as file:
            texts |= {row["text"] for row in csv.DictReader(file)}
    accounts = mini.text_accounts(sorted(texts))
    assert len(accounts) > 2000
    assert not [text for text, one in zip(sorted(texts), accounts, strict=True) if one.unread > 0]
    assert {one.cut for one in accounts} == {0}
    assert language_doubt(accounts) is None


def test_cut_pieces_are_those_that_change_nothing_when_they_change():
    mini = MiniCLAP(MiniConfig.tiny()).eval()
    positions = mini.config.max_tokens
    words = ["rain"] * (positions - 2)  # a piece each, and two marks: just what is read
    whole, longer = " ".join(words), " ".join([*words, "dog", "dog", "dog"])
    assert [one.cut for one in mini.text_accounts([whole, longer])] == [0, 3]
    assert [one.pieces for one in mini.text_accounts([whole, longer])] == [
        positions - 2,
        positions + 1,
    ]
    same, other = mini.embed_text([longer, " ".join([*words, "cat"])])
    assert bool((same == other).all())


def test_cut_pieces_of_a_transformers_model_are_counted_by_its_positions(hf):
    short, long = hf.text_accounts(["a dog barks", "a dog barks " * 60])
    assert short.cut == 0
    assert long.cut == long.pieces + 2 - hf._max_tokens > 0
    assert (
        long.remark() == f"text cut: its last {long.cut} of {long.pieces} word pieces are not read"
    )
    assert short.remark() is None


def characters(known: str) -> Tokenizer:
    """A tokenizer that knows some characters, each a piece of the run of letters it stands in."""
    vocabulary = {"<unk>": 0, "<s>": 1, **{c: n for n, c in enumerate(known, start=2)}}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 1)]
    )
    return tokenizer


def account(text: str, known: str) -> TextAccount:
    return account_of(text, characters(known).encode(text), unknown=0, positions=100)


def test_the_share_counts_letters_and_no_spaces_digits_or_marks():
    assert account("ab 12 !? ж", "ab12!?").unread == pytest.approx(1 / 3)


def test_a_known_chinese_character_alone_is_a_word_but_a_russian_letter_is_not():
    assert account("狗在叫", "狗在叫").unread == 0.0
    assert account("狗在叫", "狗叫").unread == pytest.approx(1 / 3)
    assert account("дождь", "дожь").unread == 1.0
    assert account("я и ты", "яиты").unread == 0.5  # words of one letter are read


def test_a_sign_without_letters_is_judged_as_it_is():
    assert account("🐕", "ab").unread == 1.0
    assert account("440", "40").unread == 0.0


def test_a_language_is_doubted_where_most_words_are_broken():
    def said(broken: int, words: int) -> str | None:
        one = TextAccount(pieces=9, cut=0, unread=0.0, words=words, broken=broken)
        return language_doubt([one, one])

    assert said(3, 5) is not None
    assert said(2, 4) is None  # half is not most
    assert said(2, 2) is None  # four words tell nothing
    assert language_doubt([]) is None


def test_german_is_doubted_and_english_is_not(mini):
    german = ["Ein Hund bellt laut im Garten", "Ein Mann spricht, dann fällt eine Tür zu"]
    english = ["a dog barks loudly in the garden", "a man speaks, then a door closes"]
    assert language_doubt(mini.text_accounts(german)) is not None
    assert language_doubt(mini.text_accounts(english)) is None
