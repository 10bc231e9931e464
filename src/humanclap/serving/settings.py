"""Where a service listens, and what it takes."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from ipaddress import ip_address

from humanclap.errors import SettingsError

MIN_TOKEN_CHARACTERS = 16
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Settings of a service.

    token: clients show it as `Authorization: Bearer`; needed where `host` is not the loopback of
    this machine. batch_windows: most windows that are scored together. batch_wait_ms: longest time
    that a clip waits for others while more are on their way.

    Limits of one request: body_mb; pairs; audio_s, seconds of all its clips; clip_s, seconds of one
    clip; text_characters, of one text; timeout_s, until its answer; stall_s, for its head, and
    between two parts of its body. Limits of all requests: waiting_clips, clips that are not scored
    yet, and waiting_mb, bodies that are not answered yet (beyond these, the answer is 429);
    connections, at once. decoders: threads that decode, 0: one for each processor.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = None
    batch_windows: int = 32
    batch_wait_ms: float = 5.0
    body_mb: float = 128.0
    pairs: int = 256
    audio_s: float = 3600.0
    clip_s: float = 600.0
    text_characters: int = 10_000
    waiting_clips: int = 1024
    waiting_mb: float = 1024.0
    timeout_s: float = 120.0
    stall_s: float = 10.0
    connections: int = 1024
    decoders: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in ("host", "token", "port", "batch_wait_ms", "decoders"):
                continue
            if not (math.isfinite(value) and value > 0):
                raise SettingsError(f"{field.name} is {value!r}; expected a number above 0")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; expected 0..65535")
        if not 0 <= self.batch_wait_ms <= 1000:
            raise SettingsError(f"batch_wait_ms is {self.batch_wait_ms:g}; expected 0..1000")
        if self.decoders < 0:
            raise SettingsError(f"decoders is {self.decoders}; expected 0 or more threads")
        if self.waiting_clips < self.pairs or self.waiting_mb < self.body_mb:
            raise SettingsError(
                "the queue is smaller than one request: waiting_clips and waiting_mb must be at "
                "least pairs and body_mb"
            )
        self._check_token()

    def _check_token(self) -> None:
        if self.token is None:
            if not self.local:
                raise SettingsError(
                    f"{self.host} can be reached from other machines, and there is no token; give "
                    "one by --token-file or HUMANCLAP_TOKEN"
                )
            return
        if len(self.token) < MIN_TOKEN_CHARACTERS:
            raise SettingsError(f"the token needs {MIN_TOKEN_CHARACTERS} characters or more")
        if not (self.token.isascii() and self.token.isprintable()) or " " in self.token:
            raise SettingsError(
                "the token holds a space or a character that a header cannot carry; expected "
                "printable ASCII, such as: openssl rand -hex 24"
            )

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def most_body(self) -> int:
        """Bytes of one request."""
        return int(self.body_mb * _MB)

    @property
    def most_waiting(self) -> int:
        """Bytes of all requests that are not answered."""
        return int(self.waiting_mb * _MB)
