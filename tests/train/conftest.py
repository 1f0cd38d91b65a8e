"""The tower that tests of RL and of adapters train."""

import pytest
import torch
from grpo_tiny import make_tower


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    torch.set_num_threads(1)
    return make_tower(tmp_path_factory.mktemp("tower"))
