"""Limits for each client that all server processes share: the study's database counts."""

from __future__ import annotations

from dataclasses import dataclass

from humanclap.listening.study.database import now, run
from humanclap.listening.study.study import Study

_FULL = """
DELETE FROM rate_limits WHERE name = :name AND (filled_at < :before OR filled_at > :now)
"""
"""Also those filled in the future: a machine's clock may have been set back."""
_TAKE = """
INSERT INTO rate_limits (name, client, tokens, filled_at)
VALUES (:name, :client, :size - 1, :now)
ON CONFLICT (name, client) DO UPDATE SET filled_at = :now, tokens = {filled} - 1
WHERE {filled} >= 1
"""
_REFILLED = "rate_limits.tokens + (:now - rate_limits.filled_at) * :per_second"
_TAKE_ONE = _TAKE.format(filled=f"(CASE WHEN {_REFILLED} > :size THEN :size ELSE {_REFILLED} END)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLimit:
    """A bucket of `size` actions for each client, refilled evenly within `minutes`."""

    study: Study
    name: str
    size: int
    minutes: float = 1.0

    def allows(self, client: str) -> bool:
        """Whether one more action of this client may pass; counts it if so.

        Only a keyed hash of the client is stored, and only until its bucket is full again.
        """
        refill_s = 60.0 * self.minutes
        with self.study.database.write() as connection:
            at = now(connection)
            run(connection, _FULL, name=self.name, before=at - refill_s, now=at)
            taken = run(
                connection,
                _TAKE_ONE,
                name=self.name,
                client=self.study.sign("client", client)[:32],
                size=float(self.size),
                now=at,
                per_second=self.size / refill_s,
            )
        return taken == 1
