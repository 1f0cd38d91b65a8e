"""Questions of benchmarks that do not come with the package: from a folder of yours, or from the Hugging Face Hub."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from xreasoner import prompts
from xreasoner.config import DataSpec
from xreasoner.data.datasets import example_of_row
from xreasoner.data.fates import Unfit, bare_question
from xreasoner.data.sources import Hub, Raw, open_hub, open_local
from xreasoner.errors import DataError
from xreasoner.types import Example

Split = Literal["dev", "test"]
DATA_VARIABLE = "XREASONER_DATA"  # environment variable: the folder of benchmarks


@dataclass(frozen=True, slots=True)
class Questions:
    """Rows of the kind `dataset` (an entry of DATASETS), in the file `file` of the folder DATA_VARIABLE or, where that
    is not set, at `hub`, whose test split they are. `source` is where a person gets them."""

    dataset: str
    file: str  # with {split}
    hub: Hub
    source: str
    template: str = prompts.MATHEMATICS

    def local_file(self, split: Split) -> Path | None:
        """The file, where it is there."""
        path = Path(os.environ.get(DATA_VARIABLE, "data")) / self.file.format(split=split)
        return path if path.is_file() else None

    def check(self, split: Split) -> None:
        """Raises DataError where there is nothing to read: no file in the folder that was named, or no such split on
        the Hub. Does not ask the Hub."""
        if self.local_file(split) or (split == "test" and DATA_VARIABLE not in os.environ):
            return
        name = self.file.format(split=split)
        raise DataError(
            f"The benchmark file ${DATA_VARIABLE}/{name} is not there "
            f"({os.environ.get(DATA_VARIABLE, 'data')}/{name}): fetch it from {self.source} and set {DATA_VARIABLE} to "
            f"the folder that holds {name}" + (", or unset it to take the Hub." if split == "test" else ".")
        )

    def read(self, split: Split) -> list[Example]:
        """All questions. Raises DataError where they cannot be read, or, naming it, for a row that is none."""
        self.check(split)
        path, spec, found = self.local_file(split), DataSpec(name=self.dataset), list[Example]()
        with tempfile.TemporaryDirectory(prefix="xreasoner-") as folder:
            aside = Path(folder) / "raw.arrow"
            raw: Raw = open_local(path, aside) if path else open_hub(replace(self.hub, split="test"), aside)
            for number, row in (pair for chunk in raw.chunks() for pair in chunk):
                try:
                    found.append(example_of_row(spec, number, row, self.template))
                except Unfit as unfit:
                    raise DataError(f"{raw.where(number)} {unfit.detail}") from None
        return found

    def texts(self) -> list[str]:
        """The questions of the test split alone, without instructions: what training rows are held against."""
        return [bare_question(example) for example in self.read("test")]
