"""Who a recruiting site sends: its parameters in the address of the first page."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import HTTPException

from humanclap.listening.study.session_start import Recruit

_SITES = {
    "prolific": ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID"),
    "mturk": ("workerId", "hitId", "assignmentId"),
}
MTURK_PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def recruit_of(values: Mapping[str, str]) -> Recruit | None:
    """The recruit whom a recruiting site's parameters name, in upper or lower case.

    Raises 400 where they are no ids, or one is given twice in different ways.
    """
    fields = site_fields(values)
    for site, (worker, task, submission) in _SITES.items():
        if worker in fields:
            given = [fields.get(name, "") for name in (worker, task, submission)]
            if not _ID.fullmatch(given[0]) or any(v and not _ID.fullmatch(v) for v in given[1:]):
                raise HTTPException(400, "the recruiting site's parameters are not ids")
            return Recruit(site=site, worker=given[0], task=given[1], submission=given[2])
    return None


def site_fields(values: Mapping[str, str]) -> dict[str, str]:
    """The recruiting sites' parameters among `values`, by the names the sites give them."""
    names = {name.lower(): name for of_site in _SITES.values() for name in of_site}
    fields: dict[str, str] = {}
    for given, value in values.items():
        name = names.get(given.lower())
        if name is not None and fields.setdefault(name, value) != value:
            raise HTTPException(400, f"{name} is given twice")
    return fields
