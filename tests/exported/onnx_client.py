"""A client of an exported pipeline that knows nothing but its folder: docs/export.md in code, for other languages.

    python onnx_client.py FOLDER/bert_ner < words.json > entities.json

It imports onnxruntime, tokenizers and NumPy; neither spaCy nor this project. Documents come as lists of words, and
entities go as [first word, word behind the last, label, confidence].
"""

import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

LOWEST = -1e30


class Client:
    """An exported component.

    folder (Path): That of ner.json.
    """

    def __init__(self, folder: Path) -> None:
        self.about = json.loads((folder / "ner.json").read_text(encoding="utf8"))
        assert self.about["format"] == 1
        self.tokenizer = Tokenizer.from_file(str(folder / self.about["tokenizer"]["file"]))
        self.tokenizer.no_truncation()
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True
        self.encoder, self.head = (
            onnxruntime.InferenceSession(folder / self.about[part]["file"]) for part in ("encoder", "head")
        )

    def find(self, words: list[str]) -> list[tuple[int, int, str, float]]:
        """Find the entities of a document."""
        if not words:
            return []
        vectors, starts = self.encode(words)
        return self.decode(self.score(words, vectors, starts))

    # 1. Words to pieces.

    def split(self, word: str) -> tuple[list[int], list[int]]:
        """RETURNS: A word's pieces, and the classes of their shapes."""
        settings = self.about["tokenizer"]
        text = " " + word if settings["blank"] else word
        encoded = self.tokenizer.encode([text], is_pretokenized=True, add_special_tokens=False)
        ids, classes = encoded.ids, []
        if shapes := self.about["word_shapes"]:
            count, longest = len(shapes["names"]), shapes["characters"]
            whole = self.shape(text[:longest])
            classes = [count * whole + self.shape(text[a:b][:longest]) for a, b in encoded.offsets] or [count * whole]
        capacity = self.about["windows"]["capacity"]
        return (ids or [settings["unknown"]])[:capacity], classes[:capacity]

    def shape(self, text: str) -> int:
        """RETURNS: The shape of a word or piece, by its letters and digits."""
        letters = [c for c in text if c.isalpha()]
        capitals = [c for c in letters if c.isupper() or c.istitle()]
        if any(c.isdigit() for c in text):
            name = "d1git" if letters else "digit"
        elif not letters:
            name = "other"
        elif not capitals:
            name = "lower"
        elif len(capitals) == len(letters):
            name = "U" if len(letters) == 1 else "UPPER"
        else:
            name = "Title" if len(capitals) == 1 and not letters[0].islower() else "miXed"
        return self.about["word_shapes"]["names"].index(name)

    # 2. Pieces to windows.

    def windows(self, offsets: list[int]) -> list[tuple[int, int]]:
        """RETURNS: The windows' words, end exclusive. offsets: pieces before each word, and all of them."""
        capacity, overlap = self.about["windows"]["capacity"], self.about["windows"]["overlap"]
        words, total = len(offsets) - 1, offsets[-1]
        if total <= capacity:
            return [(0, words)]
        count = -(-(total - overlap) // (capacity - overlap))
        found: list[tuple[int, int]] = []
        start = 0
        while True:
            left = max(count - len(found), 1)
            rest = total - offsets[start]
            size = min(-(-(rest + (left - 1) * overlap) // left), capacity, rest)
            end = next(i for i in range(words + 1) if offsets[i] >= offsets[start] + size)
            if offsets[end] - offsets[start] > capacity:
                end -= 1
            found.append((start, end))
            if end == words:
                return found
            following = max(i for i in range(words + 1) if offsets[i] <= offsets[end] - overlap)
            start = min(max(following, start + 1), end)

    def meetings(self, windows: list[tuple[int, int]], offsets: list[int]) -> list[int]:
        """RETURNS: Words between which each window is read, one number more than windows."""
        bounds = [0]
        for (_, end), (start, _) in itertools.pairwise(windows):
            middle = offsets[start] + offsets[end]
            at = next((i for i in range(start, end) if offsets[i] + offsets[i + 1] >= middle), end)
            bounds.append(min(max(at, start, bounds[-1]), end))
        return [*bounds, len(offsets) - 1]

    # 3. Windows to vectors.

    def encode(self, words: list[str]) -> tuple[Any, list[int]]:
        """RETURNS: (pieces, width), and each word's first piece, with the number of pieces at the end."""
        pieces = [self.split(word) for word in words]
        offsets = [0, *np.cumsum([len(ids) for ids, _ in pieces]).tolist()]
        ids, classes = ([value for piece in pieces for value in piece[k]] for k in (0, 1))
        windows = self.windows(offsets)
        bounds = self.meetings(windows, offsets)
        parts = []
        for i, (start, end) in enumerate(windows):
            vectors = self.encode_window(ids[offsets[start] : offsets[end]], classes[offsets[start] : offsets[end]])
            parts.append(vectors[offsets[bounds[i]] - offsets[start] : offsets[bounds[i + 1]] - offsets[start]])
        return np.concatenate(parts), offsets

    def encode_window(self, ids: list[int], classes: list[int]) -> Any:
        """RETURNS: (pieces, width), of one window."""
        prefix, suffix = self.about["tokenizer"]["prefix"], self.about["tokenizer"]["suffix"]
        length = len(prefix) + len(ids) + len(suffix)
        step = self.about["windows"]["length_step"]
        padding = -length % step
        inputs = {
            "ids": np.array([prefix + ids + suffix + [0] * padding], dtype=np.int64),
            "mask": np.array([[True] * length + [False] * padding]),
        }
        if classes:
            around = ([0] * len(prefix), [0] * (len(suffix) + padding))
            inputs["shapes"] = np.array([around[0] + classes + around[1]], dtype=np.int64)
        (vectors,) = self.encoder.run(["vectors"], inputs)
        return vectors[0, len(prefix) : len(prefix) + len(ids)]

    # 4. Vectors to logits.

    def score(self, words: list[str], vectors: Any, starts: list[int]) -> Any:
        """RETURNS: (words, tags)."""
        firsts = vectors[starts[:-1]]
        rows = firsts
        if self.about["pieces"] == "mean":
            rows = np.stack([vectors[a:b].mean(0) for a, b in itertools.pairwise(starts)])
        inputs = {"vectors": rows}
        if self.about["recurrence"]:
            others, recurs = np.zeros_like(firsts), np.zeros((len(words), 1), dtype=np.float32)
            places: dict[str, list[int]] = {}
            for i, word in enumerate(words):
                places.setdefault(word.lower(), []).append(i)
            for same in places.values():
                for i in same if len(same) > 1 else ():
                    others[i] = firsts[[j for j in same if j != i]].mean(0)
                    recurs[i] = 1
            inputs |= {"others": others, "recurs": recurs}
            if "firsts" in self.about["head"]["inputs"]:
                inputs["firsts"] = firsts
        return self.head.run(["logits"], inputs)[0]

    # 5. Logits to entities and confidences.

    def decode(self, logits: Any) -> list[tuple[int, int, str, float]]:
        """RETURNS: The entities of the best legal tags, and their confidences."""
        tags = self.best_tags(logits)
        entities, start = [], None
        for i, tag in enumerate([*tags, "O"]):
            if start is not None and (tag == "O" or tag[0] in "BU"):
                entities.append((start, i, tags[start][2:]))
                start = None
            if tag[0] in "BU":
                start = i
        judged = ((*entity, self.confidence(logits, *entity)) for entity in entities)
        return [entity for entity in judged if entity[3] >= self.about["threshold"]]

    def best_tags(self, logits: Any) -> list[str]:
        """RETURNS: The legal tags with the highest sum of logits (Viterbi)."""
        start, end, follow = self.rules()
        score, back = start + logits[0], []
        for row in logits[1:]:
            ways = score[:, None] + follow
            back.append(ways.argmax(0))
            score = ways.max(0) + row
        tag = int((score + end).argmax())
        path = [tag]
        for pointers in reversed(back):
            tag = int(pointers[tag])
            path.append(tag)
        return [self.about["tags"][tag] for tag in reversed(path)]

    def confidence(self, logits: Any, start: int, end: int, label: str) -> float:
        """RETURNS: The posterior of exactly this span and label, at the temperature, shifted by the label's offset."""
        scaled = logits.astype(np.float64) / self.about["temperature"]
        tags = self.about["tags"]
        spelled = ["U"] if end - start == 1 else ["B", *"I" * (end - start - 2), "L"]
        if self.about["scheme"] == "BIO":
            spelled = ["B", *"I" * (end - start - 1)]
        held = scaled.copy()
        for i, prefix in enumerate(spelled):
            keep = tags.index(f"{prefix}-{label}")
            held[start + i, np.arange(len(tags)) != keep] = LOWEST
        if end < len(held) and self.about["scheme"] == "BIO":
            held[end, tags.index(f"I-{label}")] = LOWEST
        posterior = np.exp(self.log_sum(held) - self.log_sum(scaled))
        factor = np.exp(self.about["offsets"][label])
        return float(posterior * factor / (1 + posterior * (factor - 1)))

    def log_sum(self, logits: Any) -> float:
        """RETURNS: The logarithm of the sum over all legal tags of exp(their logits' sum)."""
        start, end, follow = self.rules()
        score = start + logits[0]
        for row in logits[1:]:
            score = np.logaddexp.reduce(score[:, None] + follow, axis=0) + row
        return float(np.logaddexp.reduce(score + end))

    def rules(self) -> Any:
        """RETURNS: What is added to the scores of tags at the start, at the end, and behind each other."""
        names = ("may_start", "may_end", "may_follow")
        return [np.where(np.array(self.about[name]), 0.0, LOWEST) for name in names]


if __name__ == "__main__":
    client = Client(Path(sys.argv[1]))
    json.dump([client.find(words) for words in json.load(sys.stdin)], sys.stdout)
