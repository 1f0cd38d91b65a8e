"""How a released model wants to be asked, by its hub id: what its card says, applied unless a person says otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace

from xreasoner.errors import RecipeError
from xreasoner.prompts import head_of
from xreasoner.types import Example, Image, Message

NO_PRESET = "none"


@dataclass(frozen=True, slots=True)
class Preset:
    """`min_pixels` and `max_pixels` bound the area that pictures are resized to. `instruction_first`: the instruction
    comes before the picture, the question after it. `source` is where that stands."""

    name: str
    source: str
    min_pixels: int
    max_pixels: int
    instruction_first: bool

    def arrange(self, example: Example) -> Example:
        """The example as the model wants to be asked."""
        return instruction_first(example) if self.instruction_first else example

    def words(self) -> str:
        """One line that tells a person what is applied."""
        order = ", the instruction before the picture" if self.instruction_first else ""
        return (
            f"preset {self.name}: pictures of {self.min_pixels:,} to {self.max_pixels:,} pixels{order} ({self.source})"
        )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "microsoft/X-Reasoner-7B",
            "https://huggingface.co/microsoft/X-Reasoner-7B",
            min_pixels=512 * 512,
            max_pixels=512 * 512,
            instruction_first=True,
        ),
    )
}


def preset_of(model: str, wanted: str | None = None) -> Preset | None:
    """The preset that is `wanted` ("none" is none), else that of the hub id `model`, where it has one. RecipeError for
    an unknown one."""
    if wanted == NO_PRESET:
        return None
    known = {name.lower(): preset for name, preset in PRESETS.items()}
    found = known.get((wanted or model).lower())
    if wanted and found is None:
        raise RecipeError(f"There is no preset {wanted}: choose one of {', '.join((*PRESETS, NO_PRESET))}.")
    return found


def instruction_first(example: Example) -> Example:
    """The example with its pictures between the instruction and the question, where they stood before both.

    The instruction is what a template of PROMPTS puts before the question. Pictures that have their place further on in
    the text keep it, and a question without an instruction keeps its pictures in front.
    """
    messages = tuple(
        _between(m) if m.role == "user" and not isinstance(m.content, str) else m for m in example.messages
    )
    return replace(example, messages=messages)


def _between(message: Message) -> Message:
    parts = tuple(part for part in message.content if part)
    n_pictures = next((i for i, part in enumerate(parts) if not isinstance(part, Image)), len(parts))
    pictures, rest = parts[:n_pictures], parts[n_pictures:]
    if not pictures or not rest or not isinstance(rest[0], str):
        return message
    head = head_of(rest[0])
    question = rest[0].removeprefix(head)
    return Message(message.role, tuple(part for part in (head, *pictures, question, *rest[1:]) if part))
