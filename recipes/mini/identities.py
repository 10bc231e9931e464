"""What the packaged models met, into their folders: every training clip, natural caption, pair.

Clips: all that the audio student heard, of `shared` and of `bank_more.py`. Captions: what people
wrote of all that the text student read (prompts, RELATE's train captions, labels), and the captions
of the scenes. Not WordNet's glosses and the captions made by rule, of which there are 450,000.
Calibrated: RELATE validation's pairs. `mini-mn04` shares the file of `mini`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from bank import more_rows, read_bank, read_rows, source_of

from humanclap.clap.checkpoint_files import PACKAGED
from humanclap.clap.known_pairs import Identities, Met, identities_of


def met(shared: Path, work: Path) -> Iterator[Met]:
    """Clips and captions with what each was used for."""
    for clip in read_bank(shared):
        if not clip.held_out:
            yield clip.path, clip.text, "trained"
    for row in more_rows(work / "bank"):
        yield source_of(work / "bank" / row["path"]), row["text"] or None, "trained"
    content = json.loads((work / "text/texts.json").read_text())
    for text in content["texts"][: content["natural"]]:
        yield None, text, "trained"
    validation = shared / "data/relate-validation"
    for row in read_rows(validation / "ratings_REL.csv"):
        yield validation / "audio" / row["filename"], row["text"], "calibrated"


def main() -> None:
    """Parse, hear everything, write one file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder with bank/ and text/")
    parser.add_argument("--output", type=Path, default=PACKAGED / "mini")
    arguments = parser.parse_args()
    found = Identities()
    waiting = met(arguments.shared, arguments.work)
    while part := list(islice(waiting, 500)):  # not all sounds at once
        found |= identities_of(part)
    found.save(arguments.output)
    print(
        f"{len(found.captions)} captions, {len(found.clips)} clips; {found.unknown_clips} clips "
        "too short, silent or steady to be known again"
    )


if __name__ == "__main__":
    main()
