"""A model's dimensions are counted once for all plans."""

from typing import Any

import pytest

from xreasoner.plan import estimate
from xreasoner.plan.sizes import Sizes, sizes_of

_counted: dict[str, Sizes] = {}


@pytest.fixture(autouse=True)
def _count_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(config: Any) -> Sizes:
        key = config.to_json_string(use_diff=False)
        if key not in _counted:
            _counted[key] = sizes_of(config)
        return _counted[key]

    monkeypatch.setattr(estimate, "sizes_of", counted)
