"""Bodies of requests and responses, for validation and for /openapi.json."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

TEXT = "Angela Merkel met officials in Geneva."


def _check_text(text: str) -> str:
    """RETURNS (str): The text. RAISES: ValueError where it holds a lone surrogate."""
    if not text.isascii() and (found := SURROGATE.search(text)):
        raise ValueError(
            f"found half of a surrogate pair at character {found.start()}, expected whole characters: send the text in "
            "UTF-8, or escape both halves"
        )
    return text


SURROGATE = re.compile(r"[\ud800-\udfff]")
Text = Annotated[str, AfterValidator(_check_text)]
Names = Annotated[list[Text], Field(max_length=1000)]
Probability = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Strict(BaseModel):
    """A body of the service's own schema: unknown fields, and values of other types, are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Lenient(BaseModel):
    """A body of another API: unknown fields are named in the response's header X-Ignored-Parameters."""

    model_config = ConfigDict(extra="allow", strict=True)

    def ignored(self, prefix: str = "") -> list[str]:
        """RETURNS (list[str]): Names of the fields that have no effect."""
        return [f"{prefix}{name}" for name in self.__pydantic_extra__ or {}]


class EntitiesRequest(Strict):
    """Texts to find entities in."""

    text: Text | None = Field(None, description="One text; or give `texts`")
    texts: list[Text] | None = Field(None, description="Several texts", examples=[[TEXT, "IBM is in Armonk."]])
    model: str | None = Field(None, description="A name from /v1/models; by default the first")
    min_confidence: Probability = Field(
        0.0, description="Leave out entities of a lower confidence; those that have none stay"
    )
    labels: Names | None = Field(None, description="Leave out entities of other labels")
    offsets: Literal["characters", "utf16"] = Field(
        "characters", description="What `start` and `end` count: Unicode characters, or UTF-16 units as JavaScript does"
    )

    @model_validator(mode="after")
    def _has_texts(self) -> Self:
        if (self.text is None) == (self.texts is None):
            found = "neither" if self.text is None else "both"
            raise ValueError(f"found {found} of `text` and `texts`, expected exactly one of them")
        return self


class RunnerUpResult(BaseModel):
    """The best other label for an entity's span."""

    label: str = Field(examples=["ORG"])
    confidence: float = Field(examples=[0.012])


class EntityResult(BaseModel):
    """An entity."""

    start: int = Field(description="Where it begins in the text", examples=[0])
    end: int = Field(description="Where it ends: the first character after it", examples=[13])
    label: str = Field(examples=["PER"])
    text: str = Field(examples=["Angela Merkel"])
    confidence: float | None = Field(description="Null where the pipeline gives none", examples=[0.987])
    runner_up: RunnerUpResult | None = Field(description="Null where there is none")


class TextResult(BaseModel):
    """What was found in one text."""

    entities: list[EntityResult] | None = Field(description="Null where the pipeline failed on the text")
    error: str | None = Field(description="Why it failed")


class EntitiesResponse(BaseModel):
    """What was found in each text, in order."""

    model: str
    results: list[TextResult]
    warnings: list[str] = Field(description="What in the request had no effect")


class Model(BaseModel):
    """A model's description."""

    name: str
    package: str
    version: str
    lang: str
    description: str
    license: str
    pipeline: list[str]
    labels: list[str]
    scores: dict[str, Any] = Field(description="`ents_…` of its meta.json, measured on the test set")
    versions: dict[str, str] = Field(description="Of the packages that it was trained with, where it says so")
    served_by: dict[str, str] = Field(description="Versions of the packages that serve it")
    calibration: dict[str, dict[str, Any]] = Field(
        description="By component: whether its confidences are calibrated, and how"
    )


class ModelsResponse(BaseModel):
    """The models, the default first."""

    models: list[Model]


class Problem(BaseModel):
    """An error."""

    error: str


class HuggingFaceParameters(Lenient):
    """Parameters of Hugging Face's token classification."""

    aggregation_strategy: str | None = Field(None, description='"none" gives words; all others give entities')
    ignore_labels: Names | None = Field(None, description="Labels to leave out")


class HuggingFaceRequest(Lenient):
    """A request to Hugging Face's token classification."""

    inputs: Text | list[Text] = Field(examples=[TEXT])
    parameters: HuggingFaceParameters | None = None


class AnalyzeRequest(Lenient):
    """A request to Presidio's analyzer."""

    text: Text | list[Text] = Field(examples=[TEXT])
    language: str = Field(examples=["en"])
    entities: Names | None = Field(None, description="Presidio's names or the model's", examples=[["PERSON"]])
    score_threshold: Probability | None = None


class AnalyzerResult(BaseModel):
    """An entity of Presidio's analyzer."""

    entity_type: str = Field(examples=["PERSON"])
    start: int
    end: int
    score: float


class HuggingFaceEntity(BaseModel):
    """An entity of Hugging Face's token classification."""

    entity_group: str = Field(examples=["PER"])
    score: float
    word: str
    start: int
    end: int
