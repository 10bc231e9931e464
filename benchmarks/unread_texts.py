"""What tokenizers cannot read: real captions (none may be refused), other scripts (all must be).

    python benchmarks/unread_texts.py --shared SHARED [--bpe FOLDER]

By `mini`'s tokenizer and, with --bpe, by GPT-2's byte pairs, which RoBERTa and so LAION's CLAPs use
(FOLDER holds its encoder.json and vocab.bpe): for each set of texts how many are refused
(`clap.text_account.UNREADABLE`), the least and the largest share of unread letters, the share of
words broken into pieces, and how many texts alone would be taken for another language. The sets:
distinct texts of RELATE's tables, captions of the AudioCaps clips and prompts of the demo pages in
SHARED/data; captions by language, written for this; short names and noises. Prints JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer

from humanclap.clap.mini import MiniCLAP
from humanclap.clap.text_account import TextAccount, account_of, language_doubt
from humanclap.tables import read_table

Account = Callable[[Sequence[str]], list[TextAccount]]

FOREIGN = {
    "Japanese": "犬が吠えている|雨が降っている|鳥がさえずっている|子供たちが笑っている|雨|"
    "車が通り過ぎる音|"
    "電話が鳴る|ピアノ|男性が話し、その後ドアが閉まる",
    "Russian": "дождь|Лает собака|Собака лает, а птицы поют|шум ветра|гром|мяу|"
    "Мужчина говорит, затем хлопает дверь",
    "Chinese": "狗在叫|下雨了|一只狗在叫,鸟在唱歌|雨声|一个男人在说话，然后门关上了|猫",
    "Arabic": "كلب ينبح|المطر يهطل|رجل يتحدث ثم يغلق الباب|مطر",
    "Korean": "개가 짖는다|비가 온다|남자가 말한 뒤 문이 닫힌다",
    "Greek": "σκύλος γαβγίζει|βρέχει",
    "Hebrew": "גשם יורד",
    "Thai": "ฝนตก|สุนัขเห่า",
    "Hindi": "बारिश हो रही है|कुत्ता भौंकता है",
    "Ukrainian": "Собака гавкає",
}
LATIN = {
    "Vietnamese": "chó sủa|Trời đang mưa to và có tiếng sấm|Một người đàn ông nói chuyện",
    "Turkish": "köpek havlıyor|Yağmur yağıyor ve gök gürlüyor|"
    "Bir adam konuşuyor, sonra kapı kapanıyor",
    "German": "Ein Hund bellt laut im Garten|Regen fällt auf ein Dach|"
    "Ein Mann spricht, dann fällt eine Tür zu|Glöckchen läuten",
    "French": "un chien aboie|La pluie tombe sur un toit|Un homme parle puis une porte claque",
    "Spanish": "Un perro ladra|La lluvia cae sobre el techo|"
    "Un hombre habla y luego se cierra una puerta",
    "Polish": "Pies szczeka|Deszcz pada na dach, a potem grzmi",
    "Finnish": "Koira haukkuu|Sade ropisee kattoon",
}
SHORT = (
    "whoosh|brrr|brrrr|pfft|zzz|tsk tsk|psst|vroom|kaboom|thwack|boing|splat|hmm|shh|mrrp|meow~|"
    "nyan|"
    "Bosch GSB 18V|GSB|Škoda|Citroën|Björk|Łódź|Łukasz|Zoë|Åse|Näh|Dvořák|AC/DC|Nokia 3310|Roomba|"
    "Xylophon|Vuvuzela|didgeridoo|440 Hz|Hz|TV|R2-D2|440|C4|!!!|...|a dog 🐕 barks|"
    "an old man says «да»|α-wave tone at 10 Hz"
)


def real_captions(data: Path) -> dict[str, set[str]]:
    """Distinct texts of the data at hand."""
    tables = {
        "RELATE": sorted((data / "relate" / "scores").glob("*.csv")),
        "AudioCaps": [data / "audiocaps" / "captions.csv"],
        "demo prompts": [data / "tta-demos" / "pairs.csv"],
    }
    return {
        name: {row.text("text") for path in paths for row in read_table(path).rows}
        for name, paths in tables.items()
    }


def figures(accounts: Sequence[TextAccount], texts: Sequence[str]) -> dict[str, object]:
    """The figures of one set of texts."""
    words = sum(one.words for one in accounts)
    return {
        "texts": len(accounts),
        "refused": sum(not one.readable for one in accounts),
        "passed": [t for t, one in zip(texts, accounts, strict=True) if one.readable][:3],
        "unread": [min(one.unread for one in accounts), max(one.unread for one in accounts)],
        "broken words": sum(one.broken for one in accounts) / max(1, words),
        "doubted alone": sum(language_doubt([one]) is not None for one in accounts),
        "cut": sum(one.cut > 0 for one in accounts),
    }


def byte_pairs(folder: Path) -> Account:
    """Accounts by GPT-2's byte pairs."""
    merges = (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:]
    tokenizer = ByteLevelBPETokenizer(
        vocab=json.loads((folder / "encoder.json").read_text(encoding="utf-8")),
        merges=[tuple(line.split()) for line in merges if len(line.split()) == 2],
    )

    def accounts(texts: Sequence[str]) -> list[TextAccount]:
        return [
            account_of(text, tokenizer.encode(text), unknown=None, positions=512) for text in texts
        ]

    return accounts


def main() -> None:
    """Print the figures of every tokenizer and set."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--bpe", type=Path)
    given = parser.parse_args()
    real = real_captions(given.shared / "data")
    sets: dict[str, list[str]] = {name: sorted(texts) for name, texts in real.items()}
    sets["all real"] = sorted(set().union(*real.values()))
    for name, joined in {**FOREIGN, **LATIN, "short": SHORT}.items():
        sets[name] = joined.split("|")
    sets["other scripts"] = [text for joined in FOREIGN.values() for text in joined.split("|")]
    tokenizers: dict[str, Account] = {"mini": MiniCLAP.from_pretrained().text_accounts}
    if given.bpe is not None:
        tokenizers["byte pairs"] = byte_pairs(given.bpe)
    found = {
        model: {name: figures(account(texts), texts) for name, texts in sets.items()}
        for model, account in tokenizers.items()
    }
    print(json.dumps(found, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
