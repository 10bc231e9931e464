"""How a study is served."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from humanclap.errors import SettingsError

_LOCAL = ("127.0.0.1", "localhost", "[::1]")
MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """Where and how to serve.

    public_url: the address listeners use where a proxy stands before the server. Its path is the
    prefix of every link, and only its host is answered. allow_simulated: whether bots may mark
    their sessions as simulated. The limits are per client address and minute. An address gets pairs
    for at most starts_per_minute sessions within the design's first_answer_minutes. Starts and
    logins are counted over all server processes, requests by each of the `workers` for itself.
    """

    admin_token: str
    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    proxies: str = ""
    allow_simulated: bool = False
    starts_per_minute: int = 60
    logins_per_minute: int = 10
    requests_per_minute: int = 3000
    workers: int = 1

    def __post_init__(self) -> None:
        if len(self.admin_token) < MIN_TOKEN_CHARACTERS:
            raise SettingsError(f"the admin token needs {MIN_TOKEN_CHARACTERS} characters or more")
        if not 0 <= self.port <= 65535:
            raise SettingsError(f"port is {self.port}; expected 0..65535")
        if self.public_url:
            parts = urlsplit(self.public_url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
                raise SettingsError(
                    f"public URL is {self.public_url!r}; expected https://host/prefix"
                )
        for name in ("starts_per_minute", "logins_per_minute", "requests_per_minute", "workers"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1")

    @property
    def prefix(self) -> str:
        """Path before every link, without a slash at its end; empty at the root."""
        return urlsplit(self.public_url).path.rstrip("/")

    @property
    def secure(self) -> bool:
        """Whether listeners come by https."""
        return self.public_url.startswith("https://")

    @property
    def hosts(self) -> frozenset[str]:
        """Host names answered to, without ports; empty where any is (bound to all interfaces)."""
        if self.public_url:
            return frozenset({str(urlsplit(self.public_url).hostname), *_LOCAL})
        return frozenset() if self.host in ("0.0.0.0", "::") else frozenset({self.host, *_LOCAL})
