"""A run's progress: one line, rewritten on a terminal, and else a new one every minute."""

import sys
import time

from .journal import FinishedShard

ON_TERMINAL, ELSEWHERE = 0.5, 60.0


class ProgressLine:
    """Counts and shows what this run has annotated.

    total (int): Bytes of the whole input; 0 where that is unknown.
    quiet (bool): Whether to show nothing.
    """

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._quiet = total, quiet
        self._terminal = sys.stderr.isatty()
        self._start = self._shown = time.monotonic()
        self.documents = self.words = self.failed = 0
        # Bytes of the input that are finished: by an earlier run, and up to the furthest shard of this one.
        self._skipped = self._position = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._start

    def note(self, text: str) -> None:
        """Show a message to the user."""
        if not self._quiet:
            sys.stderr.write(f"{text}\n")

    def skip(self, position: int) -> None:
        """Record that an earlier run has finished the input up to a position, but for single shards."""
        self._skipped = max(self._skipped, position) if not self._position else self._skipped

    def update(self, done: FinishedShard) -> None:
        """Count a shard."""
        self._position = max(self._position, done.position)
        self.documents += done.documents
        self.words += done.words
        self.failed += done.failed
        now = time.monotonic()
        if not self._quiet and now - self._shown >= (ON_TERMINAL if self._terminal else ELSEWHERE):
            self._shown = now
            end = "\r" if self._terminal else "\n"
            # Padded, so that nothing remains of a longer line before it.
            sys.stderr.write(f"{self.line():<100}{end}" if self._terminal else f"{self.line()}{end}")
            sys.stderr.flush()

    def line(self) -> str:
        """RETURNS (str): Counts, words per second, and the remaining time."""
        rate = self.words / max(self.seconds, 1e-9)
        parts = [f"{self.documents:,} documents", f"{self.words:,} words", f"{rate:,.0f} words/s"]
        if self.failed:
            parts.append(f"{self.failed:,} failed")
        ours = self._position - self._skipped
        if self._total and ours > 0:
            seconds = self.seconds * max(0, self._total - self._position) / ours
            parts.append(f"{duration(seconds)} left")
        return ", ".join(parts)

    def close(self) -> None:
        """End the terminal's line."""
        if self._terminal and not self._quiet:
            sys.stderr.write("\n")


def duration(seconds: float) -> str:
    """RETURNS (str): A time in its two largest units, such as "3 h 20 min"."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"
