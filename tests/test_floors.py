"""An import goes down, never up or sideways between the rooms of one floor. See docs/architecture.md."""

import ast
import statistics
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "xreasoner"
FLOORS = [
    {"types", "errors"},
    {"config", "files", "runs", "jobs", "stats", "prompts", "verify"},
    {"data", "micro"},
    {"model"},
    {"rollout"},
    {"train", "eval", "distill", "micro.base", "report"},
    {
        "pipeline",
        "preload",
        "display",
        "evaluation",
        "audit",
        "score",
        "solvable",
        "distillation",
        "plan",
        "check",
        "chat",
        "study",
    },
    {"cli"},
]
# Within a floor, these stand on others of it: a run folder belongs to a recipe, the tags stand in prompts alone,
# training sets are drawn from the micro world, and `check` asks first what a run asks first.
STANDS_ON = {
    "runs": {"config", "files"},
    "verify": {"prompts"},
    "data": {"micro"},
    "check": {"pipeline"},
    "study": {"pipeline", "display"},
}
NO_TORCH = (
    "types",
    "errors",
    "config",
    "files",
    "runs",
    "jobs",
    "stats",
    "prompts",
    "verify",
    "report",
    "display",
    "score",
    "solvable",
    "study",
    "cli",
)
HEAVY = {"torch", "transformers", "trl", "inspect_ai", "math_verify", "accelerate", "datasets", "peft"}
MODULES = sorted(SRC.rglob("*.py"))


def room(dotted: str) -> str:
    """The room of a module: `rollout.local` -> rollout; the base's training script lives higher than its folder."""
    return "micro.base" if dotted.startswith("micro.base") else dotted.split(".")[0]


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")


def floor(of: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if of in rooms)


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{a.name}" for a in node.names}
    return found


def violations(module: str, imported: set[str]) -> list[str]:
    mine, bad = room(module), []
    for name in sorted(imported):
        if not name.startswith("xreasoner."):
            continue
        other = room(name.removeprefix("xreasoner."))
        if not any(other in rooms for rooms in FLOORS) or other == mine:
            continue  # a function of xreasoner itself, or the room's own
        allowed = floor(other) < floor(mine) or other in STANDS_ON.get(mine, set())
        if not allowed:
            bad.append(f"{module} imports {name}")
    return bad


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down(path: Path) -> None:
    module = name_of(path)
    if module in ("", "__init__"):
        return
    assert any(room(module) in rooms for rooms in FLOORS), f"{module} stands on no floor"
    assert violations(module, imports(path)) == []


def test_a_violation_is_seen() -> None:
    assert violations("rollout.local", {"xreasoner.train.sft"}) == ["rollout.local imports xreasoner.train.sft"]
    assert violations("train.sft", {"xreasoner.eval.task"}) == ["train.sft imports xreasoner.eval.task"]
    assert violations("train.sft", {"xreasoner.rollout.local", "xreasoner.train.order"}) == []


@pytest.mark.parametrize("path", [p for p in MODULES if room(name_of(p)) in NO_TORCH], ids=name_of)
def test_light_rooms_import_nothing_heavy(path: Path) -> None:
    assert {name.split(".")[0] for name in imports(path, top_level_only=True)} & HEAVY == set()


def test_files_stay_small() -> None:
    lines = {name_of(p): len(p.read_text().splitlines()) for p in MODULES}
    assert [name for name, n in lines.items() if n > 350] == []
    assert statistics.median(n for n in lines.values() if n > 5) < 150
