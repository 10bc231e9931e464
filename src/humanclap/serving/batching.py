"""Clips of many requests: a few threads decode them, and one thread scores them together."""

from __future__ import annotations

import io
import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import soundfile

from humanclap.audio.ahead import reading_threads
from humanclap.audio.decode import SoundBytes
from humanclap.audio.load import Waveform
from humanclap.errors import AudioError, InputError
from humanclap.records import Score
from humanclap.scoring.staged import CutClip, StagedCLAP
from humanclap.serving.counters import Metrics
from humanclap.serving.settings import ServiceSettings

log = logging.getLogger(__name__)

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
"""Hz that a recording may have. Resampling from rates beyond takes minutes and gigabytes."""
_READY_BATCHES = 4
"""Decoders wait while so many batches of windows are ready."""
_MOST_RETRY_S = 600
_WEIGHT = 0.2
"""Weight of the newest batch in the moving average of the seconds that a clip takes."""

Clip = SoundBytes | Waveform


class BusyError(Exception):
    """No more work is taken now; it may be in `retry_s` seconds."""

    def __init__(self, retry_s: int, reason: str) -> None:
        self.retry_s = retry_s
        super().__init__(f"{reason}; try again in {retry_s} s")


class TooLongError(InputError):
    """The clips of one request are longer together than the service takes."""


@dataclass(frozen=True, slots=True)
class BatchReply:
    """A pair that was scored. fault: which side of it cannot be used, `audio` or `text`."""

    score: Score
    fault: str | None


@dataclass(slots=True, eq=False)
class Job:
    """A request: its clips, the texts of each, and where its answers go.

    done: the answers, grouped by clip. gone: whether nobody waits for it any more. begun: number of
    clips whose decoding has begun.
    """

    clips: Sequence[Clip]
    texts: Sequence[Sequence[str]]
    done: Future[list[list[BatchReply]]] = field(default_factory=Future)
    gone: bool = False
    begun: int = 0
    seconds: float = 0.0
    answers: list[list[BatchReply]] = field(default_factory=list)
    left: int = 0


@dataclass(slots=True, eq=False)
class _Item:
    """One clip of a job on its way."""

    job: Job
    place: int
    decoded: CutClip


class Batcher:
    """Takes jobs, and scores the clips of all of them in batches; see `ServiceSettings`.

    Jobs take turns, clip by clip, so that a small one does not wait until a large one is done. A
    clip's score does not depend on its batch. `arriving` counts requests that are being received;
    while there are any, a small batch waits for them.
    """

    def __init__(self, scorer: StagedCLAP, settings: ServiceSettings, metrics: Metrics) -> None:
        self._scorer = scorer
        self._settings = settings
        self._metrics = metrics
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()  # with clips that nobody decodes yet
        self._ready: list[_Item] = []
        self._ready_windows = 0
        self._waiting = 0
        self._undecoded = 0
        self._stopped = False
        self._clip_s = 0.05
        self._busy_since = 0.0
        self.arriving = 0
        threads = settings.decoders or reading_threads()
        self._decoders = ThreadPoolExecutor(threads, "humanclap-decode")
        self._worker = threading.Thread(target=self._work, name="humanclap-model", daemon=True)
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether it takes work."""
        return self._worker.is_alive() and not self._stopped

    def retry_s(self, clips: int) -> int:
        """Estimate of the whole seconds until so many of the waiting clips are scored."""
        return min(_MOST_RETRY_S, max(1, math.ceil(min(clips, self._waiting) * self._clip_s)))

    def submit(self, job: Job) -> None:
        """Take a job; raises BusyError where there is no room, or its clips would wait too long."""
        count = len(job.clips)
        job.left = count
        job.done.set_running_or_notify_cancel()  # from here on nobody can cancel it
        job.answers = [[] for _ in range(count)]
        with self._changed:
            self._check_room(count)
            if not self._waiting:
                self._busy_since = time.perf_counter()
            self._waiting += count
            self._undecoded += count
            self._metrics.waiting.set(self._waiting)
            self._jobs.append(job)
            for _ in range(count):
                self._decoders.submit(self._decode)

    def give_up(self, job: Job) -> None:
        """Forget a job for which nobody waits any more, and free the room of its clips."""
        with self._changed:
            job.gone = True
            if job in self._jobs:
                self._jobs.remove(job)
                rest = len(job.clips) - job.begun
                self._undecoded -= rest
                self._leave(rest)
            its = {at for at, item in enumerate(self._ready) if item.job is job}
            self._leave(len(self._taken(its)))

    def _check_room(self, count: int) -> None:
        if self._stopped:
            raise BusyError(1, "the service is stopping")
        over = self._waiting + count - self._settings.waiting_clips
        if over > 0:
            raise BusyError(self.retry_s(over), f"{self._waiting} clips are waiting")
        late_s = (self._waiting + count) * self._clip_s - self._settings.timeout_s
        if late_s > 0 and self._waiting:
            clips = math.ceil(late_s / self._clip_s)
            reason = f"{self._waiting} clips are waiting, and this request would time out"
            raise BusyError(self.retry_s(clips), reason)

    def stop(self) -> None:
        """Finish what was taken, and end the threads."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._decoders.shutdown()
        self._worker.join()

    # -- in the threads that decode ------------------------------------------------------------

    def _decode(self) -> None:
        """One clip of the job whose turn it is."""
        most_ready = _READY_BATCHES * self._settings.batch_windows
        with self._changed:
            self._changed.wait_for(lambda: self._ready_windows < most_ready or not self._jobs)
            if not self._jobs:  # they were given up
                return
            job = self._jobs.popleft()
            place = job.begun
            job.begun += 1
            if job.begun < len(job.clips):
                self._jobs.append(job)
        begin = time.perf_counter()
        item = _Item(job, place, self._decoded(job, job.clips[place]))
        self._metrics.decode_s.observe(time.perf_counter() - begin)
        with self._changed:
            self._undecoded -= 1
            if job.gone:
                self._leave(1)
                return
            self._ready.append(item)
            self._ready_windows += len(item.decoded.windows)
            self._changed.notify_all()

    def _decoded(self, job: Job, clip: Clip) -> CutClip:
        """The clip's windows, or why it has none; no file can stop the thread."""
        clip_s = 0.0

        def hear(_: object, read_s: float) -> None:
            nonlocal clip_s
            block_s, clip_s = read_s - clip_s, read_s
            if clip_s > self._settings.clip_s:
                raise AudioError(
                    clip.name, f"is longer than the {self._settings.clip_s:g} s taken of a clip"
                )
            with self._changed:
                job.seconds += block_s
            if job.seconds > self._settings.audio_s:
                self._refuse_long(job)
            if job.gone:
                raise AudioError(clip.name, "nobody waits for it")

        try:
            _check_rate(clip)
            return self._scorer.decode(clip, told=hear)
        except AudioError as error:
            return CutClip(name=clip.name, error=error)
        except Exception as error:  # a decoder that fails in a new way is the clip's fault too
            log.exception("a clip cannot be decoded")
            told = AudioError(clip.name, f"cannot be decoded ({type(error).__name__})")
            return CutClip(name=clip.name, error=told)

    def _refuse_long(self, job: Job) -> None:
        with self._changed:
            self.give_up(job)
            if not job.done.done():
                job.done.set_exception(
                    TooLongError(
                        f"the clips are longer together than the {self._settings.audio_s:g} s "
                        "taken of a request; send fewer at once"
                    )
                )

    # -- in the thread of the model ------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            answers: list[list[BatchReply] | Exception]
            try:
                answers = [*self._scored(batch)]
            except Exception:
                log.exception("a batch cannot be scored; each of its clips is tried alone")
                answers = [self._alone(item) for item in batch]
            self._count(batch)
            for item, of_clip in zip(batch, answers, strict=True):
                self._finish(item, of_clip)

    def _alone(self, item: _Item) -> list[BatchReply] | Exception:
        """The answers, or the error, of a clip whose batch failed."""
        try:
            return self._scored([item])[0]
        except Exception as own:
            log.error("%s cannot be scored: %s", item.decoded.name, own)
            return own

    def _count(self, batch: Sequence[_Item]) -> None:
        """Count the clips of a batch as done, and update how long a clip takes."""
        with self._changed:
            now = time.perf_counter()
            took_s = (now - self._busy_since) / len(batch)
            self._clip_s += _WEIGHT * (took_s - self._clip_s)
            self._busy_since = now
            self._leave(len(batch))

    def _next(self) -> list[_Item] | None:
        """The clips of the next batch, one or more; None at the end."""
        most = self._settings.batch_windows
        with self._changed:
            batch: list[_Item] = []
            while not batch:  # what was ready may be given up while it waits for others
                self._changed.wait_for(lambda: self._ready or (self._stopped and not self._waiting))
                if not self._ready:
                    return None
                self._changed.wait_for(
                    lambda: self._ready_windows >= most or not (self._undecoded or self.arriving),
                    self._settings.batch_wait_ms / 1000,
                )
                batch = self._taken(self._cut(most))
            self._changed.notify_all()
        self._metrics.batch_windows.observe(_windows(batch))
        return batch

    def _cut(self, most: int) -> set[int]:
        """Places of ready clips with `most` windows or just more; each job's first clip first."""
        before = Counter[int]()
        ranks = []
        for item in self._ready:
            ranks.append(before[id(item.job)])
            before[id(item.job)] += 1
        places: set[int] = set()
        count = 0
        for place in sorted(range(len(ranks)), key=ranks.__getitem__):
            if places and count >= most:
                break
            places.add(place)
            count += len(self._ready[place].decoded.windows)
        return places

    def _taken(self, places: set[int]) -> list[_Item]:
        """Take clips out of the ready ones; called with the lock held."""
        taken = [item for at, item in enumerate(self._ready) if at in places]
        self._ready = [item for at, item in enumerate(self._ready) if at not in places]
        self._ready_windows -= _windows(taken)
        return taken

    def _scored(self, asked: Sequence[_Item]) -> list[list[BatchReply]]:
        clips = [item.decoded for item in asked]
        texts = [item.job.texts[item.place] for item in asked]
        found = []
        for clip, rows in zip(clips, self._scorer.score_decoded(clips, texts), strict=True):
            self._metrics.audio_s.inc(clip.seconds)
            found.append([BatchReply(row, _fault(row, clip)) for row in rows])
        return found

    def _finish(self, item: _Item, found: list[BatchReply] | Exception) -> None:
        job = item.job
        with self._changed:
            job.left -= 1
            if job.done.done():
                return
            if isinstance(found, Exception):
                self.give_up(job)
                job.done.set_exception(found)
                return
            job.answers[item.place] = found
            if job.left == 0:
                job.done.set_result(job.answers)

    def _leave(self, count: int) -> None:
        """Count so many clips as no longer waiting; called with the lock held."""
        self._waiting -= count
        self._metrics.waiting.set(self._waiting)
        self._changed.notify_all()


def _windows(items: Sequence[_Item]) -> int:
    return sum(len(item.decoded.windows) for item in items)


def _check_rate(clip: Clip) -> None:
    """Raise AudioError for a rate that no recording has; other faults are found later."""
    if isinstance(clip, Waveform):
        rate = clip.sample_rate
    else:
        try:
            rate = soundfile.info(io.BytesIO(clip.data)).samplerate
        except (soundfile.SoundFileError, TypeError):
            return
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise AudioError(
            clip.name,
            f"has a sample rate of {rate} Hz; this service takes {LOWEST_RATE:,} to "
            f"{HIGHEST_RATE:,} Hz",
        )


def _fault(row: Score, clip: CutClip) -> str | None:
    if row.error is None:
        return None
    return "audio" if clip.error is not None and row.error == clip.error.reason else "text"
