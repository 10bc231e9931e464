"""What a service counts, in the form Prometheus reads."""

from __future__ import annotations

from typing import Any

from humanclap.extras import require

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_WINDOWS = (1, 2, 4, 8, 16, 32, 64, 128)


class Metrics:
    """Counters and histograms of one service, in a registry of their own."""

    def __init__(self) -> None:
        prometheus: Any = require("prometheus_client", extra="serve")
        self._render = prometheus.generate_latest
        self.content_type: str = prometheus.CONTENT_TYPE_LATEST
        registry = self._registry = prometheus.CollectorRegistry()
        prometheus.ProcessCollector(registry=registry)

        def made(kind: Any, name: str, said: str, **more: Any) -> Any:
            return kind(f"humanclap_{name}", said, registry=registry, **more)

        counter, gauge, histogram = prometheus.Counter, prometheus.Gauge, prometheus.Histogram
        self.requests = made(
            counter, "requests", "Answers by path and status code.", labelnames=("path", "code")
        )
        self.latency_s = made(
            histogram,
            "request_seconds",
            "Seconds from the head of a scoring request to its answer.",
            buckets=_SECONDS,
        )
        self.decode_s = made(
            histogram, "decode_seconds", "Seconds of decoding a clip.", buckets=_SECONDS
        )
        self.batch_windows = made(
            histogram, "batch_windows", "Windows scored together.", buckets=_WINDOWS
        )
        self.waiting = made(gauge, "waiting_clips", "Clips taken and not scored yet.")
        self.waiting_bytes = made(
            gauge, "waiting_bytes", "Bytes of the bodies of requests that are not answered yet."
        )
        self.audio_s = made(counter, "audio_seconds", "Seconds of audio scored.")
        self.pairs = made(counter, "pairs", "Pairs answered with a score.")
        self.faults = made(
            counter, "pair_errors", "Pairs answered with an error, by fault.", labelnames=("fault",)
        )

    def render(self) -> bytes:
        """All of them as text."""
        return bytes(self._render(self._registry))
