"""What a reader has to say beside what it read: nothing is left out, merged or taken otherwise without a line here."""

from collections.abc import Iterator

# Places shown of each kind.
MAX_PLACES = 20


class Notes:
    """Remarks of a reader, by kind; a kind is a sentence with `{n}` for how often it came up.

    Kinds keep the order in which they came up first.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[str]] = {}

    def count(self, kind: str, times: int = 1) -> None:
        """Count something that needs no place.

        kind (str): What, such as "{n} texts were rejected: left out".
        times (int): How often.
        """
        if times:
            self._counts[kind] = self._counts.get(kind, 0) + times

    def say(self, sentence: str) -> None:
        """Say something once, in whatever characters.

        sentence (str): What.
        """
        kind = sentence.replace("{", "{{").replace("}", "}}")
        self._counts.setdefault(kind, 1)

    def place(self, kind: str, place: str) -> None:
        """Count something and keep where it is.

        kind (str): What, such as "{n} entities contradict their own text".
        place (str): File, line and what is there.
        """
        self.count(kind)
        self._places.setdefault(kind, []).append(place)

    def add(self, others: "Notes") -> None:
        """Take over another reader's remarks; what both say of the whole is said once."""
        for kind, count in others._counts.items():
            self._counts[kind] = self._counts.get(kind, 0) + count
            if kind in others._places:
                self._places.setdefault(kind, []).extend(others._places[kind])

    def lines(self, shown: int = MAX_PLACES) -> Iterator[tuple[str, list[str]]]:
        """YIELDS (tuple[str, list[str]]): Each kind in words, and its places, no more than `shown` of them."""
        for kind, count in self._counts.items():
            places = self._places.get(kind, [])
            more = [f"... and {len(places) - shown} more"] if len(places) > shown else []
            yield kind.format(n=count), places[:shown] + more
