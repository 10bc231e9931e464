"""Score pairs of audio and text.

In: clips, texts, or a manifest of pairs. Out: `records.Score` rows with notes, errors and a
signature. Begin with `scorer.HumanCLAP`; `run` scores a manifest and goes on after a stop, `reward`
gives the score with a gradient.
"""
