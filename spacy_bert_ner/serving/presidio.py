"""A spaCy pipeline in Presidio, with its own confidences as scores; needs the extra `presidio`."""

from spacy.tokens import Doc

try:
    from presidio_analyzer.nlp_engine import SpacyNlpEngine
except ImportError as error:
    raise ImportError("presidio-analyzer is not installed: pip install 'spacy-bert-ner[presidio]'") from error

from .answers import read_answer


class ConfidentNlpEngine(SpacyNlpEngine):
    """Presidio's engine for spaCy, whose entities carry the pipeline's confidences instead of one constant score.

    An entity without a confidence, such as a rule's, gets the constant `default_score` of the configuration.
    """

    engine_name = "spacy_with_confidences"

    def _get_scores_for_entities(self, doc: Doc) -> list[float]:
        """RETURNS (list[float]): The score of each of doc.ents."""
        default = self.ner_model_configuration.default_score
        found = read_answer(doc).entities
        return [default if ent.confidence is None else ent.confidence for ent in found]
