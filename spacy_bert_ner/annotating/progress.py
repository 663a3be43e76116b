"""What a run says while it works: one line, rewritten on a terminal, and else a new one every minute."""

import sys
import time

from .journal import Done

ON_TERMINAL, ELSEWHERE = 0.5, 60.0


class Progress:
    """Counts what is done in this run, and says so.

    total (int): Bytes of the whole input; 0 where that is unknown.
    quiet (bool): Whether to say nothing.
    """

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._quiet = total, quiet
        self._terminal = sys.stderr.isatty()
        self._began = self._said = time.monotonic()
        self.documents = self.words = self.failed = 0
        # Bytes of the input that are done: by an earlier run, and up to the furthest shard of this one.
        self._skipped = self._position = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def note(self, text: str) -> None:
        """Say something that the user must know."""
        if not self._quiet:
            sys.stderr.write(f"{text}\n")

    def skip(self, position: int) -> None:
        """Know that an earlier run has done everything up to a position in the input, but for single shards."""
        self._skipped = max(self._skipped, position) if not self._position else self._skipped

    def update(self, done: Done) -> None:
        """Count a shard."""
        self._position = max(self._position, done.position)
        self.documents += done.documents
        self.words += done.words
        self.failed += done.failed
        now = time.monotonic()
        if not self._quiet and now - self._said >= (ON_TERMINAL if self._terminal else ELSEWHERE):
            self._said = now
            end = "\r" if self._terminal else "\n"
            # What is left of a longer line before it would stay on the terminal.
            sys.stderr.write(f"{self.line():<100}{end}" if self._terminal else f"{self.line()}{end}")
            sys.stderr.flush()

    def line(self) -> str:
        """RETURNS (str): What is done, how fast it goes, and the time that is left."""
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
        """Leave the terminal's line."""
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
