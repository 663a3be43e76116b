"""The posterior probability of each entity among all legal tag sequences."""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from spacy_bert_ner.arrays import Array, Ints

from .lattice import Arcs, Lattice, Lengths, Spans, Steps, centre, offsets, ranges

# A tag that lies further than this (in temperatures) below its token's best counts as lying here. Without a floor,
# probabilities vanish in doubles and leave 0/0 where only such tags are legal. No posterior moves by more than 1e-80
# unless every legal sequence needs such a tag.
_FLOOR = -200.0
# Masses are scaled every so many steps: what two steps take, and a state may lie below another, exp(3 * _FLOOR), is
# still a double.
_SCALE_EVERY = 2
# Sequences are cut into blocks of about the square root of their length, but of at least this many tokens.
_SHORTEST_BLOCK = 8


@dataclass(frozen=True, eq=False)
class Posteriors:
    """The posteriors of some spans.

    label (Array): The label asked about, as an index. (entities,)
    by_label (Array): Probability that exactly this span is an entity of each label, among all legal sequences.
        (entities, labels)
    """

    label: Array
    by_label: Array

    @property
    def posterior(self) -> Array:
        """Probability of exactly this span with exactly this label. (entities,)"""
        return self.by_label[np.arange(len(self.label)), self.label]

    @property
    def any_label(self) -> Array:
        """Probability that exactly this span is an entity, whatever its label: "some entity here". (entities,)"""
        return np.minimum(self.by_label.sum(axis=1), 1.0)

    @property
    def runner_up(self) -> tuple[Array, Array]:
        """The best of the other labels and its probability, (entities,) each; -1 and 0 where there is but one label.

        The most probable sequence need not give a span its most probable label, so that the runner-up may be the
        more probable of the two.
        """
        if self.by_label.shape[1] < 2:
            return np.full(len(self.label), -1), np.zeros(len(self.label))
        rows, others = np.arange(len(self.label)), self.by_label.copy()
        others[rows, self.label] = -1.0
        best = others.argmax(axis=1)
        return best, others[rows, best]

    def shift(self, offsets: Array) -> "Posteriors":
        """Add to the log-odds of each entity, as if the sequences that hold it were exp(offset) times as probable.

        Its other labels, and all else that could be there, keep their proportions to each other.

        offsets (Array): By label. (labels,)
        RETURNS (Posteriors): Of the same entities. With offsets of 0, the same to the bit.
        """
        rows, factor = np.arange(len(self.label)), np.exp(offsets[self.label])
        shifted = self.by_label.copy()
        shifted[rows, self.label] *= factor
        return Posteriors(self.label, shifted / (1.0 + self.posterior * (factor - 1.0))[:, None])


def span_posteriors(
    lattice: Lattice,
    logits: Array,
    lengths: Lengths,
    spans: Spans,
    temperature: float = 1.0,
) -> Posteriors:
    """Compute the probability of each span as an entity of each label, among all legal sequences.

    A sequence's probability is proportional to exp(sum of its tags' logits / temperature), and a span's is the sum over
    the sequences in which an entity covers exactly its tokens.

    lattice (Lattice): The legal sequences.
    logits (Array): Logit of each tag. (rows, tags), floats
    lengths (Lengths): Rows of each sequence. (sequences,)
    spans (Spans): The spans to judge, predicted or not; they may overlap.
    temperature (float): Above 0.
    RETURNS (Posteriors): Doubles from 0 to 1; the same, to the bit, whatever else is in the batch.
    RAISES: ValueError where shapes do not fit, a span leaves its sequence, or a temperature is not above 0.
    Source: forward-backward (Baum et al. 1970), scaled (Rabiner 1989), as a scan over blocks (Blelloch 1990).
    """
    sizes = lattice.check(logits, lengths)
    spans = Spans(*(np.asarray(field, dtype=np.int64) for field in spans))
    _check_spans(spans, sizes, len(lattice.labels))
    if not (temperature > 0 and np.isfinite(temperature)):
        raise ValueError(f"temperature is {temperature}: expected a finite number above 0")
    # Only the sequences that hold a span have to be walked.
    needed, sequence = np.unique(spans.sequence, return_inverse=True)
    rows = ranges(offsets(sizes)[needed], sizes[needed])
    some = Spans(sequence, spans.start, spans.end, spans.label)
    by_label = _judge(lattice, logits[rows], sizes[needed], some, temperature)
    return Posteriors(spans.label, by_label)


def _check_spans(spans: Spans, sizes: Ints, labels: int) -> None:
    known = (spans.sequence >= 0) & (spans.sequence < len(sizes)) & (spans.label >= 0) & (spans.label < labels)
    if not known.all():
        raise ValueError(f"A span is of a sequence or label that is not among {len(sizes)} and {labels}")
    if not ((spans.start >= 0) & (spans.start < spans.end) & (spans.end <= sizes[spans.sequence])).all():
        raise ValueError("A span is empty or leaves its sequence")


def _judge(lattice: Lattice, logits: Array, sizes: Ints, spans: Spans, temperature: float) -> Array:
    """Compute posteriors at one temperature: legal prefixes x the span x legal suffixes / all.

    RETURNS (Array): (entities, labels).
    """
    arcs = temper(lattice, logits, temperature)
    around = Surroundings.of(arcs, sizes).around(spans.sequence, spans.start, spans.end)
    within = _sum_within(arcs, offsets(sizes)[spans.sequence], spans)
    return np.exp(np.minimum(within + around[:, None], 0.0))


def temper(lattice: Lattice, logits: Array, temperature: float) -> Arcs:
    """RETURNS (Arcs): Logits divided by a temperature, none so low that a span's posterior could not be computed."""
    return Arcs.of(lattice, np.maximum(centre(logits), temperature * _FLOOR) / temperature)


class Surroundings(NamedTuple):
    """Sums over what legal sequences can have before and after a span.

    before, after (Array): Logarithms of the sums of legal prefixes and suffixes, closed at each boundary, of which a
        sequence has one more than tokens. (rows + sequences,)
    first (Ints): Place of each sequence's first boundary. (sequences + 1,)
    """

    before: Array
    after: Array
    first: Ints

    @classmethod
    def of(cls, arcs: Arcs, sizes: Ints) -> "Surroundings":
        """Walk all sequences both ways."""
        return cls(*_forward_backward(arcs, sizes), offsets(sizes + 1))

    def around(self, sequence: Ints, start: Ints, end: Ints) -> Array:
        """RETURNS (Array): Logarithm of prefixes x suffixes / all, for spans within their sequences. (spans,)"""
        first, final = self.first[sequence], self.first[sequence + 1] - 1
        return self.before[first + start] + self.after[first + end] - self.before[final]


def _sum_within(arcs: Arcs, offset: Ints, spans: Spans) -> Array:
    """Sum the logits of each span's own tokens, for each label. RETURNS: (entities, labels)."""
    starts, ends = offset + spans.start, offset + spans.end
    labels = len(arcs.inside)
    single = arcs.single[:, starts].T
    around = (arcs.first[:, starts] + arcs.last[:, ends - 1]).T
    # Not by differences of running sums: their rounding would depend on the rest of the batch.
    between = np.maximum(ends - starts - 2, 0)
    rows = ranges(starts + 1, between)
    cells = np.repeat(np.arange(len(starts)), between)[:, None] * labels + np.arange(labels)
    inside = arcs.inside[:, rows].T
    sums = np.bincount(cells.ravel(), weights=inside.ravel(), minlength=len(starts) * labels)
    return np.where((ends - starts == 1)[:, None], single, around + sums.reshape(len(starts), labels))


def _forward_backward(arcs: Arcs, sizes: Ints) -> tuple[Array, Array]:
    """Sum the legal prefixes, and the legal suffixes, closed at each boundary. RETURNS: see Surroundings."""
    # Suffixes are prefixes of the reversed text, in which first tokens are last: one walk serves both ways.
    first, last = np.exp(arcs.first), np.exp(arcs.last)
    # Label by label: .sum() over the labels of a single row would add in another order than over those of many.
    stay = sum(np.exp(arcs.single), start=np.exp(arcs.outside))
    to_closed = _both_ways(np.concatenate([stay[None], last]), np.concatenate([stay[None], first]))
    inside = np.exp(arcs.inside)
    weights = _Weights(to_closed, _both_ways(first, last), _both_ways(inside, inside))
    sums = _sum_prefixes(weights, np.concatenate([sizes, sizes[::-1]]))
    half = len(sums) // 2
    return sums[:half], sums[half:][::-1]


def _both_ways(forward: Array, backward: Array) -> Array:
    return np.concatenate([forward, backward[:, ::-1]], axis=1)


class _Weights(NamedTuple):
    """Exponentiated logits of the arcs into each state, above 0.

    to_closed (Array): From closed, then from open in each label. (1 + labels, rows)
    first, inside (Array): Into open in each label, from closed and from open. (labels, rows)
    """

    to_closed: Array
    first: Array
    inside: Array


def _sum_prefixes(weights: _Weights, sizes: Ints) -> Array:
    """Sum the legal prefixes that are closed at each boundary.

    Walking a long text takes one Python step per token. So texts are cut into blocks of about the square root of their
    length, which are walked all at once, from every state there is; then the few blocks of each text are chained;
    then all are walked again from the states in which they really begin. Where to cut depends on the text's
    length alone, so that its numbers are the same in every batch.

    RETURNS (Array): Logarithm of each sum. (rows + sequences,)
    """
    states = len(weights.to_closed)
    block = np.maximum(_SHORTEST_BLOCK, np.ceil(np.sqrt(sizes / 2)).astype(np.int64))
    counts = -(-sizes // block)
    text = np.arange(len(sizes)).repeat(counts)  # of each block
    place = ranges(np.zeros_like(counts), counts)  # of a block in its text
    bounds = offsets(sizes)
    starts = bounds[text] + place * block[text]
    lengths = np.minimum(block[text], bounds[text + 1] - starts)

    # From every state through every block but the last of each text, which none follows.
    state = np.zeros((states, states, len(starts)))
    state[np.arange(states), np.arange(states)] = 1.0
    log = np.zeros((states, len(starts)))
    goes_on = place + 1 < counts[text]
    _walk(weights, Steps.of(starts, np.where(goes_on, lengths, 0)), state, log)

    begin, begin_log = _chain(state, log, Steps.of(offsets(counts)[:-1], counts))
    steps = Steps.of(starts, lengths)
    closed = np.empty((2, len(steps.rows)))
    _walk(weights, steps, begin[:, None], begin_log[None], closed)

    # A boundary follows each row; another stands before each sequence, where the sum is 1.
    sums = np.zeros(len(steps.rows) + len(sizes))
    sums[ranges(offsets(sizes + 1)[:-1] + 1, sizes)[steps.rows]] = np.log(closed[0]) + closed[1]
    return sums


def _walk(
    weights: _Weights,
    steps: Steps,
    state: Array,
    log: Array,
    closed: Array | None = None,
) -> None:
    """Walk all blocks from their first row to their last, from several beginnings at once, changing state and log.

    state (Array): Mass of each state, closed first, then open in each label; scaled. (states, beginnings, blocks)
    log (Array): Logarithm of what scaling took out of it. (beginnings, blocks)
    closed (Array | None): Where to keep the mass of closed, and its log, after each step from the first beginning.
        (2, rows), in the order of steps
    """
    rows, order = steps.rows, steps.order
    # take() lays a row's neighbours in a step side by side in memory; weight[:, rows] would not.
    to_closed, first, inside = (weight.take(rows, axis=1)[:, None] for weight in weights)
    ordered, ordered_log = state.take(order, axis=2), log.take(order, axis=1)
    for step, (low, high) in enumerate(pairwise(steps.bounds), start=1):
        now, now_log = ordered[:, :, : high - low], ordered_log[:, : high - low]
        closing = (now * to_closed[:, :, low:high]).sum(axis=0)
        opening = now[0] * first[:, :, low:high]
        now[1:] *= inside[:, :, low:high]
        now[1:] += opening
        now[0] = closing
        if step % _SCALE_EVERY == 0:
            _scale(now, now_log)
        if closed is not None:
            closed[0, low:high], closed[1, low:high] = now[0, 0], now_log[0]
    _scale(ordered, ordered_log)
    state[:, :, order], log[:, order] = ordered, ordered_log


def _scale(state: Array, log: Array) -> None:
    """Scale masses to a maximum of 1, in place. state (Array): (states, ...). log (Array): (...)."""
    most = state.max(axis=0)
    state /= most
    log += np.log(most)


def _chain(state: Array, log: Array, steps: Steps) -> tuple[Array, Array]:
    """Find the states in which blocks begin, from what each block makes of every state.

    state (Array): Mass of each state at a block's end, by the state it began in. (states, beginnings, blocks)
    log (Array): Logarithm of its scale. (beginnings, blocks)
    steps (Steps): The blocks of each sequence, one a step.
    RETURNS (tuple[Array, Array]): Scaled mass at each beginning, and the logarithm of its scale. (states, blocks),
        (blocks,)
    """
    most = log.max(axis=0)
    through = (state * np.exp(log - most)).take(steps.rows, axis=2)
    most = most[steps.rows]
    begin, begin_log = np.empty((len(state), len(most))), np.empty(len(most))
    now, now_log = np.zeros((len(state), len(steps.order))), np.zeros(len(steps.order))
    now[0] = 1.0
    for low, high in pairwise(steps.bounds):
        blocks = steps.rows[low:high]
        now, now_log = now[:, : high - low], now_log[: high - low]
        begin[:, blocks], begin_log[blocks] = now, now_log
        now, now_log = (through[:, :, low:high] * now).sum(axis=1), now_log + most[low:high]
        _scale(now, now_log)
    return begin, begin_log
