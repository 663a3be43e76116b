"""How languages write spaces around punctuation, as data.

Quotation marks are those of Unicode's CLDR and those that stand beside them in print; French spaces are those of the
Imprimerie nationale; clitics are English as the Penn Treebank cuts it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True)
class Spacing:
    """Which words of a tokenised text are written without a space, and on which side.

    closing (frozenset[str]): None before these.
    opening (frozenset[str]): None after these.
    clitics (frozenset[str]): None before these, in whatever case.
    pairs (tuple[tuple[str, str], ...]): Quotation marks that open and close: where the first of a pair is open, the
        second closes it, and otherwise the first of a pair opens. They may be the same.
    elided (tuple[str, ...]): None after longer words that end in one of these (`l'`), letters before it.
    unelided (frozenset[str]): Words for which that does not hold, in lower case.
    hyphen_joins (bool): Whether there is none before words that begin with a hyphen and go on with a letter (`-t-il`).
    has_spaces (bool): Whether there are spaces between words at all.
    """

    closing: frozenset[str]
    opening: frozenset[str]
    clitics: frozenset[str]
    pairs: tuple[tuple[str, str], ...]
    elided: tuple[str, ...] = ()
    unelided: frozenset[str] = frozenset()
    hyphen_joins: bool = False
    has_spaces: bool = True


_LOW, _LEFT, _RIGHT = (
    "\N{SINGLE LOW-9 QUOTATION MARK}",
    "\N{LEFT SINGLE QUOTATION MARK}",
    "\N{RIGHT SINGLE QUOTATION MARK}",
)
_APOSTROPHES = ("'", _RIGHT)
USUAL = Spacing(
    closing=frozenset([*",.;:!?)]}%”»", _RIGHT, "..", "...", "…"]),
    opening=frozenset([*"([{$£€#“«„¿¡", _LOW, _LEFT, "``"]),
    clitics=frozenset(
        [
            *(mark + end for mark in _APOSTROPHES for end in ("s", "m", "d", "re", "ve", "ll")),
            "n't",
            f"n{_RIGHT}t",
            "''",
        ]
    ),
    pairs=(
        ('"', '"'),
        ("'", "'"),
        ("“", "”"),
        ("„", "“"),
        ("„", "”"),
        (_LOW, _LEFT),
        (_LOW, _RIGHT),
    ),
)
# 5 €, not €5.
_EUROPEAN = replace(USUAL, opening=USUAL.opening - frozenset("$£€"))
# »So« beside «so», and ”so” and »so».
_INWARD = replace(_EUROPEAN, pairs=(*USUAL.pairs, ("«", "»"), ("»", "«")))
_SAME = replace(_EUROPEAN, pairs=(*USUAL.pairs, ("”", "”"), ("«", "»"), ("»", "»")))
_ELIDING = replace(_EUROPEAN, elided=_APOSTROPHES)

SPACINGS: Mapping[str, Spacing] = MappingProxyType(
    {
        **dict.fromkeys(("bg", "el", "es", "et", "gl", "is", "lt", "lv", "mk", "nb", "ro", "ru", "uk"), _EUROPEAN),
        **dict.fromkeys(("cs", "da", "de", "dsb", "hr", "hsb", "hu", "lb", "pl", "sk", "sl", "sr"), _INWARD),
        **dict.fromkeys(("fi", "sv"), _SAME),
        **dict.fromkeys(("ja", "th", "zh"), replace(USUAL, has_spaces=False)),
        "ca": replace(_ELIDING, hyphen_joins=True),
        "fr": replace(
            _ELIDING,
            closing=USUAL.closing - frozenset(":;!?%»"),
            opening=_EUROPEAN.opening - frozenset("«"),
            hyphen_joins=True,
        ),
        "it": replace(_ELIDING, unelided=frozenset(word + end for word in ("po", "mo", "be") for end in _APOSTROPHES)),
        "lij": _ELIDING,
        # 's avonds, 's-Gravenhage: what looks like an English clitic begins a word. And € 5.
        "nl": replace(_EUROPEAN, clitics=frozenset(["''"])),
        "pt": replace(_EUROPEAN, hyphen_joins=True),
    }
)


def spacing_of(lang: str) -> Spacing:
    """RETURNS (Spacing): A language's, by spaCy's code for it; English's where nothing else is known."""
    return SPACINGS.get(lang, USUAL)
