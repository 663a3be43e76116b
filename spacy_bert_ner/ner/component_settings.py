"""What a config decides of a `bert_ner`, beside its model."""

from dataclasses import dataclass
from typing import Literal, get_args

from spacy_bert_ner.checks import check_choice

ComponentScheme = Literal["BIO", "BILUO"]
Loss = Literal["token", "sequence"]


@dataclass(frozen=True)
class ComponentSettings:
    """The settings of a `bert_ner`, in the order in which they are saved: see component.make_bert_ner."""

    scheme: ComponentScheme = "BIO"
    overwrite: bool = False
    annotate_ents: bool = True
    spans_key: str | None = "bert_ner"
    threshold: float = 0.0
    keep_promise: bool = True
    sentence_boundaries: bool = True
    loss: Loss = "token"

    def check(self, section: str) -> None:
        """Refuse what is out of range or contradicts itself.

        section (str): The section of the config that the settings are from, such as components.bert_ner.
        RAISES: ValueError that names section and setting.
        """
        check_choice(section, "scheme", self.scheme, get_args(ComponentScheme))
        check_choice(section, "loss", self.loss, get_args(Loss))
        if not 0.0 <= self.threshold <= 1.0:
            raise ValueError(f"[{section}] threshold = {self.threshold} must lie between 0 and 1: it is a probability")
        if not self.annotate_ents and self.spans_key is None:
            raise ValueError(
                f"[{section}] annotate_ents = false and spans_key = null leave the entities nowhere to go: set "
                'spans_key, such as "bert_ner"'
            )
        if self.spans_key == "":
            raise ValueError(f'[{section}] spans_key = "": expected a name, or null to switch it off')
