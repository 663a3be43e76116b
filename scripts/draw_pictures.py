"""Draw the pictures of docs/how-it-works.md, with the plugin's own code computing what they show."""

import argparse
from html import escape
from pathlib import Path

import numpy as np
from wasabi import msg

from spacy_bert_ner.decoding import Lattice, Spans, span_posteriors, viterbi
from spacy_bert_ner.encoder.network.casing import WORD_SHAPES, word_shape
from spacy_bert_ner.encoder.windows import assign_words, cut_windows
from spacy_bert_ner.storage.files import write_atomically
from spacy_bert_ner.tags import get_scheme

DOCS = Path(__file__).parents[1] / "docs"

# With a background, a picture is readable on any page.
STYLE = """text { font: 13px system-ui, sans-serif; fill: #1b1f24 }
.small { font-size: 11px }
.muted { fill: #59636e }
.paper { fill: #ffffff }
.strong { fill: #7fabf5 }
.weak { fill: #d3e2fa }
.empty { fill: #f1f3f5 }
.asked { fill: none; stroke: #c2410c; stroke-width: 2; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.muted { fill: #9aa4af }
.paper { fill: #0f1318 }
.strong { fill: #2b5ea8 }
.weak { fill: #22344f }
.empty { fill: #1b2129 }
.asked { stroke: #fb923c }
}"""

# Word pieces as bert-base-uncased's vocabulary gives them.
CASED = {
    "US": ["us"],
    "firms": ["firms"],
    "told": ["told"],
    "us": ["us"],
    "in": ["in"],
    "May": ["may"],
    "3M": ["3", "##m"],
    "may": ["may"],
    "sell": ["sell"],
}

WORDS = ["Jane", "Smith", "met", "IBM"]
LATTICE = Lattice(get_scheme("BIO"), ("PER", "ORG"))
# (words, tags), tags in the order O, B-PER, I-PER, B-ORG, I-ORG.
LOGITS = np.array(
    [
        [2.0, 1.6, -1.0, 0.4, -1.0],
        [0.1, 0.9, 2.4, -0.2, 0.6],
        [3.0, -1.0, -0.5, -1.0, -0.4],
        [0.6, 0.5, -1.0, 2.6, 0.3],
    ]
)


class Picture:
    """An SVG while it is drawn.

    width, height (int): In pixels.
    description (str): What it shows, for those who cannot see it.
    """

    def __init__(self, width: int, height: int, description: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img">',
            f"<title>{escape(description)}</title>",
            f"<style>\n{STYLE}\n</style>",
            f'<rect class="paper" width="{width}" height="{height}" rx="6"/>',
        ]

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle of a class of STYLE."""
        self.parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2"/>')

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> None:
        """Write a line of text; y is its baseline."""
        self.parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>')

    def svg(self) -> str:
        """RETURNS (str): The file."""
        return "\n".join([*self.parts, "</svg>", ""])


def draw_windows() -> str:
    """RETURNS (str): How a document is cut, and which window each piece is read from."""
    pieces, capacity, overlap, side, left = 42, 18, 6, 12, 110
    offsets = np.arange(pieces + 1)
    spans = cut_windows(offsets, capacity, overlap)
    picture = Picture(
        left + pieces * side + 20,
        72 + 26 * len(spans) + 22,
        f"{pieces} word pieces in {len(spans)} overlapping windows; each piece is read from the window in which it "
        "stands furthest from an edge",
    )
    picture.text(left - 12, 31, "document", anchor="end")
    for i in range(pieces):
        picture.box(left + i * side, 20, side - 2, 16, "empty")
    for row, window in enumerate(assign_words(0, spans, offsets)):
        y = 56 + 26 * row
        picture.text(left - 12, y + 12, f"window {row + 1}", anchor="end")
        for i in range(window.start, window.end):
            read = window.read_start <= i < window.read_end
            picture.box(left + i * side, y, side - 2, 16, "strong" if read else "weak")
    y = 66 + 26 * len(spans)
    for x, kind, meaning in ((left, "strong", "read from this window"), (left + 190, "weak", "context only")):
        picture.box(x, y, side - 2, 12, kind)
        picture.text(x + 18, y + 10, meaning, "small muted", "start")
    return picture.svg()


def draw_case_features() -> str:
    """RETURNS (str): What an uncased encoder reads of each word: its pieces, and its shape."""
    wide, left = 56, 100
    columns = [(word, piece) for word, pieces in CASED.items() for piece in pieces]
    picture = Picture(
        left + wide * len(columns) + 14,
        158,
        "Words, their lower-cased word pieces and their shape classes: US and us, May and may differ in shape only",
    )
    rows = ((36, "word"), (80, "word piece"), (124, "+ shape"))
    for y, name in rows:
        picture.text(left - 12, y, name, "muted", "end")
    for i, (word, piece) in enumerate(columns):
        middle = left + wide * i + wide / 2
        for y, _ in rows[1:]:
            picture.box(middle - wide / 2 + 2, y - 19, wide - 4, 28, "weak" if y == 80 else "strong")
        if not piece.startswith("##"):
            width = wide * len(CASED[word])
            picture.text(middle - wide / 2 + width / 2, 36, word)
        picture.text(middle, 80, piece)
        picture.text(middle, 124, WORD_SHAPES[word_shape(word)])
    return picture.svg()


def draw_decoding() -> str:
    """RETURNS (str): Logits, the best tag of each word, and the best legal sequence."""
    tags, wide, tall, left = LATTICE.tags, 92, 32, 84
    best = viterbi(LATTICE, LOGITS, [len(WORDS)])
    greedy = LOGITS.argmax(axis=1)
    picture = Picture(
        left + wide * len(WORDS) + 14,
        50 + tall * len(tags) + 44,
        f"Logits of each tag; word by word the best are {', '.join(tags[i] for i in greedy)}, which is not legal; the "
        f"best legal sequence is {', '.join(tags[i] for i in best)}",
    )
    for row, tag in enumerate(tags):
        picture.text(left - 14, 50 + tall * row + 20, tag, anchor="end")
    for column, word in enumerate(WORDS):
        picture.text(left + wide * (column + 0.5), 34, word)
        for row in range(len(tags)):
            x, y = left + wide * column + 3, 50 + tall * row + 2
            picture.box(x, y, wide - 6, tall - 4, "strong" if row == best[column] else "empty")
            picture.text(x + (wide - 6) / 2, y + 19, f"{LOGITS[column, row]:.1f}")
            if row == greedy[column]:
                picture.box(x + 3, y + 3, wide - 12, tall - 10, "asked")
    y = 66 + tall * len(tags)
    picture.box(left, y, 24, 14, "strong")
    picture.text(left + 32, y + 12, "best legal sequence", "small muted", "start")
    picture.box(left + 170, y, 24, 14, "asked")
    picture.text(left + 202, y + 12, "best tag of each word alone", "small muted", "start")
    return picture.svg()


def draw_confidences() -> str:
    """RETURNS (str): The posteriors of some spans, by the same logits."""
    asked = [(0, 2, "PER"), (0, 1, "PER"), (1, 2, "PER"), (0, 2, "ORG"), (3, 4, "ORG"), (3, 4, "PER")]
    starts, ends, labels = zip(*asked, strict=True)
    index = np.array([LATTICE.labels.index(label) for label in labels])
    spans = Spans(np.zeros(len(asked), dtype=int), np.array(starts), np.array(ends), index)
    scores = span_posteriors(LATTICE, LOGITS, [len(WORDS)], spans).posterior
    left, full, tall = 134, 250, 28
    names = [f"{' '.join(WORDS[start:end])}, {label}" for start, end, label in asked]
    described = list(zip(names, scores, strict=True))
    summary = "; ".join(f"{name}: {score:.2f}" for name, score in described)
    picture = Picture(left + full + 66, 24 + tall * len(asked) + 10, f"Probability of each span and label: {summary}")
    for row, (name, score) in enumerate(described):
        y = 20 + tall * row
        picture.text(left - 12, y + 14, name, anchor="end")
        picture.box(left, y, full, 18, "empty")
        picture.box(left, y, round(full * float(score), 1), 18, "strong")
        picture.text(left + full + 10, y + 14, f"{score:.2f}", anchor="start")
    return picture.svg()


PICTURES = {
    "windows.svg": draw_windows,
    "case-features.svg": draw_case_features,
    "decoding.svg": draw_decoding,
    "confidences.svg": draw_confidences,
}


def main() -> None:
    """Parse the arguments, write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=DOCS, help="where to write")
    args = parser.parse_args()
    for name, draw in PICTURES.items():
        write_atomically(args.folder / name, draw().encode())
    msg.good(f"Wrote {', '.join(PICTURES)} to {args.folder}")


if __name__ == "__main__":
    main()
