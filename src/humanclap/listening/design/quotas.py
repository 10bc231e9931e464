"""How many answers each pair or comparison of a study is to get. Pure."""

from __future__ import annotations

import random
from collections.abc import Sequence

from humanclap.errors import InputError
from humanclap.listening.design.comparisons import ABComparison
from humanclap.listening.design.design import StudyDesign
from humanclap.records import Pair


def wanted_of(items: Sequence[Pair | ABComparison], design: StudyDesign) -> list[int]:
    """Answers that each item is to get, in the order of the items.

    Where the design gives a number for each pair of systems, that number is spread over the
    comparisons of the two as evenly as can be; the seed draws which get one more. Raises
    InputError where the comparisons name no systems to count by.
    """
    quota = design.quota
    if design.between is None:
        return [quota.ratings_per_pair] * len(items)
    if not quota.choices_per_system_pair:
        return [quota.choices_per_comparison] * len(items)
    groups: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        group = item.group if isinstance(item, ABComparison) else item.system
        if group is None:
            raise InputError(
                "[quota] choices_per_system_pair counts by systems, and the table names none; add "
                "the columns system_a and system_b, or set choices_per_comparison"
            )
        groups.setdefault(group, []).append(place)
    wanted = [0] * len(items)
    for group, places in groups.items():
        each, more = divmod(quota.choices_per_system_pair, len(places))
        chosen = set(random.Random(f"quota {design.seed} {group}").sample(places, more))
        for place in places:
            wanted[place] = each + (place in chosen)
    return wanted
