"""The recipe: one YAML file is one complete run. Frozen, unknown keys are errors, no inheritance, units in the names.

`load(path, overrides)` reads it, applies `key=value` overrides and checks everything that can be checked without
opening a model or a dataset. A stage is addressed by its name: `rl.learning_rate=1e-4`.
"""

from xreasoner.config.load import RecipeErrors, from_document, load
from xreasoner.config.recipe import MANNERS, THINK_SUFFIX, UNASKED_SUFFIX, Recipe, manner_of, model_of
from xreasoner.config.specs import (
    KINDS,
    Blemish,
    ControlsSpec,
    DataSpec,
    DistillSpec,
    EvalSpec,
    ImageControl,
    LaunchSpec,
    LoraSpec,
    ModelSpec,
    RlSpec,
    SftSpec,
    TeacherSpec,
    TrainSpec,
    VllmSpec,
    kind_of,
)

__all__ = [
    "KINDS",
    "MANNERS",
    "THINK_SUFFIX",
    "UNASKED_SUFFIX",
    "Blemish",
    "ControlsSpec",
    "DataSpec",
    "DistillSpec",
    "EvalSpec",
    "ImageControl",
    "LaunchSpec",
    "LoraSpec",
    "ModelSpec",
    "Recipe",
    "RecipeErrors",
    "RlSpec",
    "SftSpec",
    "TeacherSpec",
    "TrainSpec",
    "VllmSpec",
    "from_document",
    "kind_of",
    "load",
    "manner_of",
    "model_of",
]
