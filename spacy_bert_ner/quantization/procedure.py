"""The way of a pipeline to int8: find the ranges, see what costs, leave that in floats, calibrate anew."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example

from spacy_bert_ner.calibration.promising import PromiseRequest
from spacy_bert_ner.calibration.workflow import calibrate
from spacy_bert_ner.encoder.ranges import METHODS, choose_method
from spacy_bert_ner.ner.component import BertNER

from .predictions import EntityPlace, Predictions, gold_entities, predict_tags
from .quantizer import QuantizationPlan, Quantizer

# F1 that may be lost, in points, before a type of layer is taken back into floats.
ACCEPTED_LOSS = 0.1


@dataclass(frozen=True)
class Choices:
    """What can be chosen of a quantization.

    sample (int): Documents whose inputs give the ranges; as many others choose among methods.
    kept (frozenset[str]): Types of layer that stay in floats in any case.
    seed (int): Of the choice of documents.
    """

    sample: int = 80
    kept: frozenset[str] = frozenset()
    seed: int = 0


@dataclass
class Quantization:
    """What was done, and what it cost.

    method (str): How the ranges of inputs were found.
    methods (dict[str, float]): By method, how far tags move with all layers in int8: the mean divergence of a token's
        tags from those of the floats, in nats.
    costs (dict[str, float]): The same by type of layer, each alone in int8.
    shares (dict[str, float]): By type of layer, its share of the weights that are multiplied.
    floats (list[str]): The types of layer that stayed in floats.
    f1 (dict[str, float]): "before" and "after", in per cent, and "lost"; where documents are not annotated, "agreement"
        alone: F1 of the entities after against those before.
    calibration (dict[str, float | None]): The expected calibration error "before", with the confidences that the
        pipeline came with; "after", each half of the documents scored by what was fitted on the other one.
    documents (int): How many were predicted.
    annotated (bool): Whether they are annotated.
    """

    method: str
    methods: dict[str, float]
    costs: dict[str, float]
    shares: dict[str, float]
    documents: int = 0
    annotated: bool = False
    floats: list[str] = field(default_factory=list)
    f1: dict[str, float] = field(default_factory=dict)
    calibration: dict[str, float | None] = field(default_factory=dict)


def quantize(
    nlp: Language,
    name: str,
    read: Callable[[], Iterable[Example]],
    *,
    source: str,
    train: Iterable[Doc] = (),
    choices: Choices = Choices(),
    say: Callable[[str], None] = lambda text: None,
) -> Quantization:
    """Put a component's encoder into int8, in place.

    nlp (Language): The pipeline, in floats.
    name (str): Its `bert_ner` component.
    read (Callable[[], Iterable[Example]]): Gives the documents, annotated or not, that it was not trained on.
    source (str): What the pipeline is called, for whoever wants to train it later.
    train (Iterable[Doc]): Documents that it was trained on, for the calibration.
    choices (Choices): How many documents are looked at, and what stays in floats.
    say (Callable[[str], None]): Told what is being done.
    RETURNS (Quantization): What was done.
    RAISES: ValueError where the encoder cannot be in int8, or there is no document with a word.
    """
    examples = [example for example in read() if len(example.predicted)]
    if not examples:
        raise ValueError("There is no document with a word in it, whose ranges could be taken")
    quantizer = Quantizer(nlp, name, source)
    annotated = any(example.reference.has_annotation("ENT_IOB") for example in examples)
    say(f"Predicting {len(examples):,} documents in floats")
    before = predict_tags(nlp, name, examples)
    target = gold_entities(examples) if annotated else set(before.confidences)
    plan, found = weigh(quantizer, lambda some: predict_tags(nlp, name, some), examples, choices, say)
    found.documents, found.annotated = len(examples), annotated

    def predicted(plan: QuantizationPlan) -> Predictions:
        quantizer.apply(plan)
        return predict_tags(nlp, name, examples)

    floor = before.f1(target) - ACCEPTED_LOSS if annotated else 0.0
    plan, after = keep_within_loss(plan, found.costs, floor, target, predicted, say)
    quantizer.apply(plan)
    found.floats = sorted(quantizer.parts - plan.parts)
    component: BertNER = nlp.get_pipe(name)  # type: ignore[assignment]
    promise = PromiseRequest.again(component.promise) if component.promise else None
    if not annotated:
        found.f1 = {"agreement": after.f1(target)}
        if promise is not None:
            component.cfg["promise"] = None
            say(f"The {promise.measure} that was promised of the floats is no longer: that takes annotated documents")
        return found
    scores = before.f1(target), after.f1(target)
    found.f1 = {"before": scores[0], "after": scores[1], "lost": scores[0] - scores[1]}
    say("Calibrating anew")
    measures = calibrate(nlp, name, read(), train, promise)
    found.calibration = {"before": before.calibration_error(target), "after": measures["after"]["ece"]}
    return found


def weigh(
    quantizer: Quantizer,
    predict: Callable[[Sequence[Example]], Predictions],
    examples: Sequence[Example],
    choices: Choices,
    say: Callable[[str], None],
) -> tuple[QuantizationPlan, Quantization]:
    """Choose how ranges are found, and see what each type of layer costs.

    quantizer (Quantizer): The encoder, in floats.
    predict (Callable[[Sequence[Example]], Predictions]): What the pipeline predicts for documents.
    examples (Sequence[Example]): The documents to draw samples from.
    choices (Choices): What can be chosen.
    say (Callable[[str], None]): Told what is being done.
    RETURNS (tuple[QuantizationPlan, Quantization]): The plan with as much as may be in int8, and what was found.
    """
    sample, judges = draw_samples(examples, choices)
    reference = predict(judges)
    say(f"Taking ranges from {len(sample):,} documents")
    quantizer.observe([example.predicted for example in sample])

    def moved(plan: QuantizationPlan) -> float:
        quantizer.apply(plan)
        return predict(judges).divergence_from(reference)

    parts = quantizer.parts - choices.kept
    methods: dict[str, float] = {}
    for method in METHODS:
        methods[method] = moved(QuantizationPlan(method, parts))
        say(f"Ranges by {method}: tags move by {methods[method]:.5f} nats")
    best = choose_method(methods)
    costs = {part: moved(QuantizationPlan(best, frozenset({part}))) for part in sorted(parts)}
    shares = {part: quantizer.share(part) for part in costs}
    return QuantizationPlan(best, parts), Quantization(best, methods, costs, shares)


def draw_samples(examples: Sequence[Example], choices: Choices) -> tuple[list[Example], list[Example]]:
    """Draw documents whose inputs give the ranges, and others that judge them; the same where there are too few.

    RETURNS (tuple[list[Example], list[Example]]): Both.
    """
    order = np.random.default_rng(choices.seed).permutation(len(examples)).tolist()
    half = min(choices.sample, len(order) // 2) or len(order)
    first, second = order[:half], order[half : 2 * half] or order[:half]
    return [examples[i] for i in first], [examples[i] for i in sorted(second)]


def keep_within_loss(
    plan: QuantizationPlan,
    costs: dict[str, float],
    floor: float,
    target: set[EntityPlace],
    predicted: Callable[[QuantizationPlan], Predictions],
    say: Callable[[str], None],
) -> tuple[QuantizationPlan, Predictions]:
    """Take types of layer back into floats, the costliest first, until F1 is high enough.

    plan (QuantizationPlan): The plan with as much as possible in int8.
    costs (dict[str, float]): Of the types of layer.
    floor (float): The least F1, in per cent.
    target (set[EntityPlace]): The entities that F1 is measured against.
    predicted (Callable[[QuantizationPlan], Predictions]): What the pipeline predicts by a plan.
    say (Callable[[str], None]): Told what is being done.
    RETURNS (tuple[QuantizationPlan, Predictions]): The first plan whose F1 is high enough, and what it predicts; where
        none is, the one with the highest.
    """
    tried: list[tuple[float, QuantizationPlan, Predictions]] = []
    for part in [None, *sorted(plan.parts, key=lambda part: -costs[part])][: len(plan.parts)]:
        plan = plan if part is None else plan.without(part)
        found = predicted(plan)
        score = found.f1(target)
        say(f"F1 {score:.2f} with {', '.join(sorted(plan.parts))} in int8")
        tried.append((score, plan, found))
        if score >= floor:
            return plan, found
    _, plan, found = max(tried, key=lambda one: one[0])
    return plan, found
