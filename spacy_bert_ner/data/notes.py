"""A reader's remarks: nothing is left out, merged or reinterpreted without a line here."""

from collections.abc import Iterator

# Places shown of each kind.
MAX_PLACES = 20


class Notes:
    """Remarks of a reader, by kind; a kind is a sentence with `{n}` for its count.

    Kinds keep the order of their first occurrence.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def count(self, kind: str, times: int = 1) -> None:
        """Count a remark without a place.

        kind (str): Such as "{n} texts were rejected: left out".
        """
        if times:
            self._counts[kind] = self._counts.get(kind, 0) + times

    def say(self, sentence: str) -> None:
        """Add a sentence once; braces in it are literal."""
        kind = sentence.replace("{", "{{").replace("}", "}}")
        self._counts.setdefault(kind, 1)

    def place(self, kind: str, place: str) -> None:
        """Count a remark and keep its place.

        kind (str): Such as "{n} entities contradict their own text".
        place (str): File, line and what is there.
        """
        self.count(kind)
        self._places.setdefault(kind, []).append(place)

    def add(self, others: "Notes") -> None:
        """Merge another reader's remarks into these."""
        for kind, count in others._counts.items():
            self._counts[kind] = self._counts.get(kind, 0) + count
            if kind in others._places:
                self._places.setdefault(kind, []).extend(others._places[kind])

    def lines(self, shown: int = MAX_PLACES) -> Iterator[tuple[str, list[str]]]:
        """YIELDS (tuple[str, list[str]]): Each kind with its count, and at most `shown` of its places."""
        for kind, count in self._counts.items():
            places = self._places.get(kind, [])
            more = [f"... and {len(places) - shown} more"] if len(places) > shown else []
            yield kind.format(n=count), places[:shown] + more
