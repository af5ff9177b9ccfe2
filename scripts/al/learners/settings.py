"""Settings of a learner: one validated model each. Nothing here imports torch.

A field says its type, its range, and in one sentence what it is; ``of`` reads a section of the
configuration and tells in one way whatever is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, NoReturn, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from al.io.errors import ConfigError, nearest

UNCERTAINTIES = ("entropy", "least_confidence", "margin", "mutual_information")
# What steers early stopping: nothing, revealed regions held out, or the images that are scored.
VALIDATIONS = ("none", "clean", "paper")

# What a setting decides: the weights; what is prepared once per dataset, and through it the
# weights; how the finished model predicts; or only where and how fast something runs, so that it
# may be changed in the middle of a run.
Decides = Literal["training", "preparation", "prediction", "nothing"]

# Upper bounds are generous: what is above was not meant, and would fill a memory or never end.
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Few = Annotated[int, Field(ge=1, le=100)]  # networks, levels and layers
Many = Annotated[int, Field(ge=1, le=10_000)]  # channels, and what a step learns from
Side = Annotated[int, Field(ge=8, le=20_000)]  # pixels of a crop, a tile or a window
Workers = Annotated[int, Field(ge=0, le=1000)]  # processes
Positive = Annotated[float, Field(gt=0, le=1e9)]
NotNegative = Annotated[float, Field(ge=0, le=1e9)]
Share = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]
Device = Literal["auto", "cpu", "cuda"]


def setting(default: Any, text: str, decides: Decides = "training", **limits: Any) -> Any:
    """Return a field with its default, its sentence for the documentation, and what it decides."""
    return Field(default, description=text, json_schema_extra={"decides": decides}, **limits)


class Settings(BaseModel):
    """Fields of a section of the configuration.

    Attributes:
        learner: name of the section.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
    learner: ClassVar[str]

    @classmethod
    def of(
        cls, section: Mapping[str, Any], task: str | None = None, classes: int | None = None
    ) -> Self:
        """Read and check a section.

        Args:
            section: keys and values as YAML and JSON have them.
            task: ``2d``, ``3d`` or ``roi``; ``None``: what depends on it stays open.
            classes: their number, where it is known.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        for key in section:
            if key not in cls.model_fields:
                told = nearest(key, cls.model_fields)
                raise ConfigError(f"{cls.learner}.{key}: unknown key; {told}")
        try:
            settings = cls.model_validate({key: _tuples(value) for key, value in section.items()})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = str(first["loc"][0])
            found = cls.model_json_schema()["properties"][key]
            allowed = _allowed(found)
            if first.get("ctx", {}).get("le", 0) > 1:  # a bound that nothing but sense sets
                allowed += f". {found['description']}"
            _refuse(cls.learner, key, _tuples(section[key]), allowed)
        settings = settings.for_task(task)
        settings.check(task, classes)
        return settings

    def for_task(self, task: str | None) -> Self:
        """Return the settings with what the task decides filled in."""
        return self

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse values that do not fit each other, the task or the classes. Raises ConfigError."""

    def refuse(self, key: str, allowed: str) -> NoReturn:
        """Raise ConfigError about the value of a key."""
        _refuse(self.learner, key, getattr(self, key), allowed)

    @classmethod
    def that_decide(cls, what: Decides) -> list[str]:
        """Return the names of the settings that decide something."""
        return [
            name
            for name, field in cls.model_fields.items()
            if isinstance(field.json_schema_extra, dict)
            and field.json_schema_extra["decides"] == what
        ]


class LearnerSettings(Settings):
    """Settings of a learner, and what follows from them before it is imported.

    Attributes:
        tasks: what the learner does, of ``2d``, ``3d``, ``roi``.
        has_features: whether regions have features.
        prepares: whether data are prepared once per dataset (``learners.learner.Preparing``).
        prepares_on_file_grid: whether of volumes on the file's grid; else on the annotator's.
        prepares_each_image: whether what is made of an image depends on nothing but it.
    """

    tasks: ClassVar[frozenset[str]]
    has_features: ClassVar[bool]
    prepares: ClassVar[bool] = False
    prepares_on_file_grid: ClassVar[bool] = True
    prepares_each_image: ClassVar[bool] = False

    device: Device = setting("auto", "`auto` takes CUDA where there is one.", "prediction")
    threads: Many = setting(
        1, "Threads of the CPU; more than 1 may change the last bits of a training.", "nothing"
    )

    def is_checked(self) -> bool:
        """Whether ``Learner.check_start`` and ``identity`` have something to look at."""
        return False

    @classmethod
    def science_of(cls, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return a section without what only says where and how fast something runs."""
        left_out = cls.that_decide("nothing")
        return {key: value for key, value in section.items() if key not in left_out}

    @classmethod
    def completed(cls, section: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return a section with what follows from the whole configuration filled in."""
        return {**section}

    @classmethod
    def made_by(cls) -> list[Any]:
        """Return what else decides what is prepared, such as the version of a package."""
        return []

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights beside what is prepared, for a training's key."""
        kept = self.that_decide("training")
        return {key: value for key, value in self.model_dump().items() if key in kept}

    def preparation(self) -> dict[str, Any]:
        """Return the settings that decide what is prepared, as JSON can; {} where nothing is."""
        return self.model_dump(mode="json", include=set(self.that_decide("preparation")))

    def networks(self) -> int:
        """Return the number of networks that are trained."""
        return 1

    def single(self) -> Self:
        """Return the settings of one network of an ensemble."""
        return self

    def uncertainties(self) -> tuple[str, ...]:
        """Return the uncertainty measures of a trained model."""
        return measures(self.networks(), nested=False)

    def early_stopping(self) -> tuple[str, float]:
        """Return what stops trainings early, of ``VALIDATIONS``, and the share held out for it."""
        return "none", 0.0

    def uses_validation(self) -> bool:
        """Whether trainings are steered by labels of validation images (``FitJob.validation``)."""
        return False

    def regions_per_step(self) -> int | None:
        """Return the regions that a step learns from; ``None`` where there are no epochs."""
        return None

    def parts(self) -> int:
        """Return the number of parts that data are prepared in, as jobs; 0: in one piece."""
        return 0

    def prepares_on_gpu(self) -> bool:
        """Whether the parts are worth a GPU each."""
        return False

    def reads_labels(self) -> str | None:
        """Return the setting that reads ground truth beyond regions, if one does."""
        return None


class EnsembleSettings(LearnerSettings):
    """Settings of a learner that may train several networks."""

    members: Few = setting(1, "Networks of an ensemble; their probabilities are averaged.")
    member_labels: Literal["all", "folds"] = setting(
        "all",
        "What a member learns from: `all`, so that members differ by their seed, or `folds`: "
        "member i leaves out fold i of the annotated images.",
    )

    def networks(self) -> int:
        """Return ``members``."""
        return self.members

    def single(self) -> Self:
        """Return the settings of one network alone."""
        return self.model_copy(update={"members": 1, "member_labels": "all"})

    def science(self) -> dict[str, Any]:
        """Leave out what an ensemble of one does not have: its key is that of a single network."""
        found = super().science()
        if self.members == 1:
            del found["members"], found["member_labels"]
        return found


def measures(networks: int, nested: bool) -> tuple[str, ...]:
    """Return the uncertainty measures of a number of networks, of nested classes or not."""
    if nested:
        return ("least_confidence",)
    return tuple(u for u in UNCERTAINTIES if networks > 1 or u != "mutual_information")


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _refuse(learner: str, key: str, value: Any, allowed: str) -> NoReturn:
    raise ConfigError(f"{learner}.{key}: {value!r}; allowed: {allowed}")


def _allowed(schema: Mapping[str, Any]) -> str:
    """Say in words what a JSON schema allows."""
    if "anyOf" in schema:
        return ", or ".join(map(_allowed, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(map(str, schema.get("enum", [schema.get("const")])))
    kind = schema["type"]
    if kind == "array":
        each = [_allowed(one) for one in schema.get("prefixItems", ())]
        return f"[{', '.join(each or [_allowed(schema['items']), '...'])}]"
    words = {"integer": "a whole number", "number": "a number", "boolean": "true, false",
             "string": "text", "object": "a mapping"}  # fmt: skip
    text = words.get(kind, kind)
    for key, word in (("minimum", "from"), ("exclusiveMinimum", "above"), ("maximum", "to"),
                      ("exclusiveMaximum", "below")):  # fmt: skip
        if key in schema:
            text += f" {word} {schema[key]:g}"
    return text
