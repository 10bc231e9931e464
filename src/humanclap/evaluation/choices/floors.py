"""Ways to choose that hear nothing: what a metric must beat before it can be said to listen."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from humanclap.evaluation.floors import WordFeatures, ridge
from humanclap.grouping import connected_groups
from humanclap.records import Votes

LONGER, SHORTER = "longer text", "shorter text"
SYSTEM_SHARE, WORDS = "system's share, others' choices", "caption words, others' choices"

FOLDS = 5
MIN_QUESTIONS = 10

Floats = NDArray[np.float64]


def floors(votes: Sequence[Votes], clusters: Sequence[Hashable]) -> dict[str, Floats]:
    """Name -> how far each question's first side is preferred, shape (n,), 0 for no preference.

    clusters: of the questions, shape (n,). The text's length in characters and its words choose
    between texts only and are left out where all questions are between clips; systems' shares need
    a system on every side and two of them; words need 10 questions in 5 groups that share neither
    clip nor caption.
    """
    found: dict[str, Floats] = {}
    if any(one.between == "texts" for one in votes):
        longer = np.array([len(one.text_a) - len(one.text_b) for one in votes], dtype=np.float64)
        found |= {LONGER: longer, SHORTER: -longer}
    systems = {system for one in votes for system in (one.system_a, one.system_b)}
    if None not in systems and len(systems) > 1:
        found[SYSTEM_SHARE] = system_share(votes, clusters)
    if LONGER in found:
        words = caption_words(votes)
        found |= {} if words is None else {WORDS: words}
    return found


def system_share(votes: Sequence[Votes], clusters: Sequence[Hashable]) -> Floats:
    """Share of the votes for side a's system less that of b's, each in all other clusters: (n,).

    A vote for neither counts half for both; a system without a vote elsewhere has the share 1/2.
    """
    total, given = Counter[str](), Counter[str]()
    own: defaultdict[Hashable, tuple[Counter[str], Counter[str]]] = defaultdict(
        lambda: (Counter(), Counter())
    )
    for one, cluster in zip(votes, clusters, strict=True):
        for system, share in ((one.system_a, one.share), (one.system_b, 1 - one.share)):
            for got, of in ((total, given), own[cluster]):
                got[str(system)] += share * one.n  # type: ignore[assignment]
                of[str(system)] += one.n

    def share_elsewhere(system: str | None, cluster: Hashable) -> float:
        got, of = own[cluster]
        name = str(system)
        left = given[name] - of[name]
        return (total[name] - got[name]) / left if left else 0.5

    return np.array(
        [
            share_elsewhere(one.system_a, cluster) - share_elsewhere(one.system_b, cluster)
            for one, cluster in zip(votes, clusters, strict=True)
        ]
    )


def caption_words(votes: Sequence[Votes]) -> Floats | None:
    """Preference for the first text, told by words: ridge regression fitted on other questions.

    What is fitted is the share of votes for a text, less 1/2, on the difference of both texts'
    TF-IDF features. Questions are parted in 5 folds such that none shares a clip or a caption
    with another fold's, and each fold is predicted from the others. None where there are fewer than
    10 questions between texts or than 5 groups; 0 for questions between clips.
    """
    asked = [place for place, one in enumerate(votes) if one.between == "texts"]
    folds = _folds([votes[place] for place in asked])
    if folds is None:
        return None
    first, second = ([getattr(votes[i], side) for i in asked] for side in ("text_a", "text_b"))
    liked = np.array([votes[place].share - 0.5 for place in asked])
    found = np.zeros(len(votes))
    for fold in range(FOLDS):
        rest, own = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        features = WordFeatures([text[i] for i in rest for text in (first, second)])

        def of(places: NDArray[np.intp], features: WordFeatures = features) -> object:
            a, b = (features([side[i] for i in places]) for side in (first, second))
            return a - b

        weights = ridge(of(rest), liked[rest])
        found[np.array(asked)[own]] = of(own) @ weights  # type: ignore[operator]
    return found


def _folds(votes: Sequence[Votes]) -> NDArray[np.intp] | None:
    """Fold of each question, the largest groups first into the smallest fold; None for too few."""
    pairs = [p for one in votes for p in ((one.audio_a, one.text_a), (one.audio_b, one.text_b))]
    groups = connected_groups(pairs)[::2]
    sizes = Counter(groups)
    if len(votes) < MIN_QUESTIONS or len(sizes) < FOLDS:
        return None
    filled = [0] * FOLDS
    fold_of = {}
    for group, size in sizes.most_common():
        fold = filled.index(min(filled))
        fold_of[group] = fold
        filled[fold] += size
    return np.array([fold_of[group] for group in groups])
