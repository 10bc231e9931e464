"""A client of the service with the methods of `HumanCLAP`; it needs no extra."""

from __future__ import annotations

import contextlib
import email.utils
import http.client
import json
import os
import random
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np

from humanclap.audio.decode import SoundBytes, read_sound
from humanclap.audio.load import Waveform, name_of
from humanclap.audio.names import shown
from humanclap.errors import AudioError, InputError, ServiceError, SettingsError
from humanclap.records import Score
from humanclap.scoring.inputs import Paired
from humanclap.scoring.pair_scorer import OnError, PairScorer
from humanclap.scoring.predictions import Predictions
from humanclap.serving.packed import MEDIA_TYPE, packed, score_of_reply

_FIRST_PAUSE_S = 0.2
_MOST_PAUSE_S = 10.0
_LOST = (ConnectionError, http.client.HTTPException, TimeoutError, OSError)
_HEAD_BYTES = 64 * 1024
"""Room in a body for everything but samples."""


class _TooMuchError(InputError):
    """More than one request may hold."""


class Client(PairScorer):
    """Scores by a service (`humanclap serve`), with the arguments and errors of `HumanCLAP`.

    url: such as `http://127.0.0.1:8080`. token: the service's, where it has one. timeout_s: seconds
    to wait for one answer. patience_s: seconds in all for which a request that the service has no
    room for (429), or whose connection is lost, is sent again; then ServiceError. Any number of
    threads may use one client; its connections are kept open until `close`, or the end of a `with`.
    It pickles, and may be used in forked processes. Files are read here, and their bytes are sent.
    What is more than one request may hold goes in several.

    Raises SettingsError for what is no address; all methods raise ServiceError where the service
    cannot be reached or does not serve.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        timeout_s: float = 180.0,
        patience_s: float = 600.0,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise SettingsError(f"{url!r} is no address; expected such as http://127.0.0.1:8080")
        self._url = url.rstrip("/")
        self._token = token
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._idle: list[http.client.HTTPConnection] = []
        self._limits: Mapping[str, float] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {
            name: self.__dict__[name] for name in ("_url", "_token", "_timeout_s", "_patience_s")
        }

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._begin()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def _predicted(self, pairs: Paired, on_error: OnError) -> Predictions:
        """The rows of all requests that the pairs need; paths are read here."""
        rows: list[Score] = []
        signature = None
        for part in self._parts(pairs):
            for found in self._in_pieces(part, on_error):
                rows += found.rows
                if signature not in (None, found.signature):
                    raise ServiceError(
                        f"{self._url}: the model changed meanwhile from {signature} to "
                        f"{found.signature}; score all again"
                    )
                signature = found.signature
        return Predictions(tuple(rows), signature or self.signature)

    @property
    def signature(self) -> str:
        """How the service's scores are made, as it says now."""
        return str(self.model()["signature"])

    def model(self) -> dict[str, Any]:
        """Signature, sample rate, calibration and limits of the service."""
        status, reply = self._sent("GET", "/v1/model")
        if status != 200:
            raise self._error(status, reply)
        return reply

    def close(self) -> None:
        """Close the connections; a further request opens another."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_idle"):
            self.close()

    # -- pairs to requests and back ------------------------------------------------------------

    def _parts(self, pairs: Paired) -> Iterator[Paired]:
        """The pairs of each request, within the service's limits."""
        count = len(pairs.clip_at)
        if not count:
            return
        if self._limits is None:
            self._limits = self.model()["limits"]
        most, room = int(self._limits["pairs"]), self._limits["body_bytes"] - _HEAD_BYTES
        alone = len(pairs.sources) == 1
        start, used = 0, 0.0
        for place in range(count):
            size = 0 if alone else _size(pairs.sources[pairs.clip_at[place]])
            size += 8 * len(pairs.texts[pairs.text_at[place]]) + 512
            if place > start and (place - start >= most or used + size > room):
                yield _part(pairs, start, place)
                start, used = place, 0.0
            used += size
        yield _part(pairs, start, count)

    def _in_pieces(self, pairs: Paired, on_error: OnError) -> Iterator[Predictions]:
        """Score in halves what is too much; only the service knows how long sound files are."""
        try:
            yield self._scored(pairs, on_error)
            return
        except _TooMuchError:
            if len(pairs.sources) == 1:
                raise
        count = len(pairs.clip_at)
        for start, end in ((0, count // 2), (count // 2, count)):
            yield from self._in_pieces(_part(pairs, start, end), on_error)

    def _scored(self, pairs: Paired, on_error: OnError) -> Predictions:
        clips: list[SoundBytes | Waveform] = []
        missing: dict[int, AudioError] = {}
        for place, source in enumerate(pairs.sources):
            try:
                known = isinstance(source, SoundBytes | Waveform)
                clips.append(source if known else read_sound(source))  # type: ignore[arg-type]
            except AudioError as error:
                if on_error == "raise":
                    raise
                missing[place] = error
                clips.append(SoundBytes(data=b""))
        n = len(pairs.clip_at)
        one = (len(clips) == 1 and n > 1, len(pairs.texts) == 1)
        status, reply = self._sent("POST", "/v1/score", packed(clips, pairs.texts, one=one))
        if "pairs" not in reply:
            raise self._error(status, reply)
        rows = []
        for place, pair in zip(pairs.clip_at.tolist(), reply["pairs"], strict=True):
            pair["audio"] = shown(name_of(pairs.sources[place]))
            if place in missing and pair["fault"] == "audio":
                pair["error"] = missing[place].reason
            if on_error == "raise" and pair["fault"] is not None:
                raise _fault(pair)
            rows.append(score_of_reply(pair, reply["signature"]))
        return Predictions(tuple(rows), reply["signature"])

    def _error(self, status: int, reply: Mapping[str, Any]) -> InputError | ServiceError:
        detail = str(reply.get("detail", "no reason is given"))
        if status in (413, 422):
            return _TooMuchError(detail) if status == 413 else InputError(detail)
        return ServiceError(f"{self._url}: {detail} (HTTP {status})", status)

    # -- HTTP ----------------------------------------------------------------------------------

    def _sent(
        self, method: str, path: str, body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer; asks again without room, or after a lost connection.

        Asking again is safe: scoring changes nothing at the service.
        """
        until = time.monotonic() + self._patience_s
        pause_s = 0.0
        while True:
            try:
                status, retry_s, reply = self._exchange(method, path, body)
            except _LOST as error:
                if isinstance(error, ssl.SSLCertVerificationError):
                    raise ServiceError(f"{self._url}: {error}") from error
                self._pause(pause_s, until, f"cannot be reached ({error})", cause=error)
                pause_s = min(_MOST_PAUSE_S, 2 * pause_s or _FIRST_PAUSE_S)
                continue
            if status not in (429, 502, 503, 504):
                return status, reply
            wait_s = retry_s if retry_s is not None else (pause_s or _FIRST_PAUSE_S)
            pause_s = min(_MOST_PAUSE_S, 2 * pause_s or _FIRST_PAUSE_S)
            self._pause(wait_s, until, str(reply.get("detail", "is busy")), status=status)

    def _pause(
        self,
        seconds: float,
        until: float,
        said: str,
        *,
        status: int = 0,
        cause: Exception | None = None,
    ) -> None:
        """Wait, by chance a little longer, so that clients do not all come back at once."""
        seconds *= 1 + 0.25 * random.random()
        if time.monotonic() + seconds > until:
            told = f"{self._url}: {said}; given up after {self._patience_s:g} s"
            raise ServiceError(told, status) from cause
        time.sleep(seconds)

    def _exchange(
        self, method: str, path: str, body: bytes | None
    ) -> tuple[int, float | None, dict[str, Any]]:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = MEDIA_TYPE
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        connection = self._connection()
        kept = False
        try:
            # what is refused before all was sent has its answer all the same
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, urlsplit(self._url).path + path, body, headers)
            response = connection.getresponse()
            data = response.read()
            kept = not response.will_close
        finally:
            self._leave(connection, kept)
        return response.status, _retry_s(response.headers.get("retry-after")), _json(data)

    def _connection(self) -> http.client.HTTPConnection:
        """An open and idle connection of this process, else a new one."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if self._idle:
                return self._idle.pop()
        parts = urlsplit(self._url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(str(parts.hostname), parts.port, timeout=self._timeout_s)

    def _leave(self, connection: http.client.HTTPConnection, kept: bool) -> None:
        if not kept:
            connection.close()
            return
        with self._lock:
            self._idle.append(connection)


def _part(pairs: Paired, start: int, end: int) -> Paired:
    """The pairs from `start` to before `end`, with only their clips and texts."""
    clip_at, text_at = pairs.clip_at[start:end], pairs.text_at[start:end]
    clips, clip_at = np.unique(clip_at, return_inverse=True)
    texts, text_at = np.unique(text_at, return_inverse=True)
    return Paired(
        [pairs.sources[place] for place in clips.tolist()],
        [pairs.texts[place] for place in texts.tolist()],
        clip_at=clip_at,
        text_at=text_at,
        single=False,
    )


def _size(source: str | Path | SoundBytes | Waveform) -> int:
    """Bytes of a clip in a body; 0 for a missing file, which fails when it is read."""
    if isinstance(source, Waveform):
        return int(source.samples.nbytes)
    if isinstance(source, SoundBytes):
        return len(source.data)
    try:
        return Path(source).stat().st_size
    except OSError:
        return 0


def _fault(pair: Mapping[str, Any]) -> InputError:
    if pair["fault"] == "audio":
        return AudioError(pair["audio"], pair["error"])
    return InputError(pair["error"])


def _json(data: bytes) -> dict[str, Any]:
    """A JSON object; any other answer, as of a proxy, becomes its `detail`."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"detail": data[:200].decode("utf-8", "replace")}


def _retry_s(header: str | None) -> float | None:
    """Retry-After: seconds, or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return None
    if header.isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
