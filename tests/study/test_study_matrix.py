"""The matrices of all studies, from the recipes as they are."""

from pathlib import Path

import pytest

from xreasoner import config
from xreasoner.data.stages import check_stage_data
from xreasoner.errors import RecipeError
from xreasoner.model.hub import resolve_base
from xreasoner.pipeline.steps import steps_of
from xreasoner.runs import folder_hash
from xreasoner.study import STUDIES, ask
from xreasoner.study.matrix import Given, Matrix, over, path_of, sft_and_rl, variant
from xreasoner.study.outcomes import CONTROLS, samples_file

RECIPES = Path(__file__).parents[2] / "recipes"
MICRO, LARGE = RECIPES / "micro.yaml", RECIPES / "x-reasoner.yaml"
EVERYWHERE = ["stages", "domain", "overlong", "med", "forced-exit", "blind"]
ALL = [(name, MICRO) for name in STUDIES] + [(name, LARGE) for name in EVERYWHERE]


def matrix(name: str, recipe: Path = MICRO, *overrides: str, seed: int = 0, base: str | None = None) -> Matrix:
    return ask(name, recipe, overrides, None, base, None).matrix(seed)


def test_these_are_all_studies() -> None:
    assert set(STUDIES) == {*EVERYWHERE, "init", "anchor", "multimodal", "scale"}


@pytest.mark.parametrize(("name", "recipe"), ALL, ids=lambda value: str(getattr(value, "stem", value)))
def test_a_study_expands_to_sound_recipes(name: str, recipe: Path) -> None:
    made = matrix(name, recipe, seed=7)
    assert made.runs
    for run, one in made.runs.items():
        assert one.recipe.seed == 7
        assert config.from_document(one.recipe.to_document(), run) == one.recipe  # as the run folder keeps it
        assert one.recipe.final_stage == one.recipe.training[-1].name
        assert one.base_of is None or one.base_of in made.runs
        for stage in one.recipe.stages:
            check_stage_data(one.recipe, stage)


@pytest.mark.parametrize(("name", "recipe"), ALL, ids=lambda value: str(getattr(value, "stem", value)))
def test_arms_are_measured_and_contrasts_name_arms(name: str, recipe: Path) -> None:
    made = matrix(name, recipe)
    arms = [arm.name for arm in made.arms]
    assert len(set(arms)) == len(arms)
    assert len({c.name for c in made.contrasts}) == len(made.contrasts)
    for contrast in made.contrasts:
        assert {*contrast.plus, *contrast.minus} <= set(arms)
        assert len(contrast.plus) == len(contrast.minus) > 0
        assert not set(contrast.plus) & set(contrast.minus)
    assert set(made.blind_of) <= set(arms)
    for arm in made.arms:
        evaluation = made.runs[arm.run].recipe.eval
        if arm.control == "real":
            assert arm.checkpoint in made.runs[arm.run].recipe.checkpoints
        else:
            assert evaluation.controls
            assert arm.checkpoint in evaluation.controls.checkpoints
            assert arm.control in evaluation.controls.images


@pytest.mark.parametrize("name", STUDIES)
def test_answers_lie_where_the_jobs_write_them(name: str) -> None:
    made = matrix(name)
    for arm in made.arms:
        jobs = {step.name for step in steps_of(made.runs[arm.run].recipe, "hash")}
        folder = samples_file(Path("seed-0"), arm).parent
        job = folder if arm.control == "real" else folder.parent
        assert job.name in jobs
        assert job.name.endswith(CONTROLS) is (arm.control != "real")


def inputs(name: str, run: str) -> dict[str, str]:
    recipe = matrix(name).runs[run].recipe
    return {step.name: step.inputs for step in steps_of(recipe, BASE)}


BASE = folder_hash(resolve_base("micro"))


def test_runs_of_one_study_have_stages_in_common() -> None:
    both, alone = inputs("stages", "sft-rl"), inputs("stages", "rl")
    assert both["detach"] == alone["detach"]
    assert both["pictures"] == alone["pictures"]
    assert both["rl"] != alone["rl"]  # one starts from SFT, the other from the base
    assert both["eval-rl"] != alone["eval-rl"]


@pytest.mark.parametrize(
    ("ours", "theirs", "stages"),
    [
        (("stages", "sft-rl"), ("overlong", "cut"), ("sft", "rl", "eval-sft", "eval-rl", "pictures")),
        (("stages", "sft-rl"), ("domain", "sft-mathematics"), ("sft", "eval-sft", "eval-base")),
        (("stages", "rl"), ("domain", "rl-mathematics"), ("rl", "eval-rl")),
        (("stages", "sft-rl"), ("med", "x-reasoner"), ("sft", "rl", "eval-rl")),
        (("stages", "sft-rl"), ("forced-exit", "on-72"), ("sft",)),  # sampled there
        (("overlong", "cut"), ("overlong", "cut-sampled"), ("sft",)),
        (("stages", "sft-rl"), ("blind", "all"), ("sft", "rl")),
        (("stages", "sft-rl"), ("init", "own"), ("sft", "rl", "eval-base", "eval-sft", "eval-rl")),
        (("stages", "sft-rl"), ("anchor", "as-is"), ("sft", "rl", "eval-base", "eval-sft", "eval-rl")),
        (("stages", "sft-rl"), ("multimodal", "text"), ("sft", "rl", "eval-base", "eval-sft", "eval-rl")),
        (("stages", "sft-rl"), ("scale", "own"), ("sft", "rl", "eval-base", "eval-sft", "eval-rl")),
        (("domain", "sft-clinic"), ("domain", "sft-both"), ("detach", "pictures")),
    ],
)
def test_equal_stages_of_several_studies_are_one_job(
    ours: tuple[str, str], theirs: tuple[str, str], stages: tuple[str, ...]
) -> None:
    a, b = inputs(*ours), inputs(*theirs)
    assert {name: a[name] for name in stages} == {name: b[name] for name in stages}


@pytest.mark.parametrize(
    ("ours", "theirs", "stage"),
    [
        (("overlong", "cut"), ("overlong", "dropped"), "sft"),
        (("domain", "sft-mathematics"), ("domain", "sft-clinic"), "sft"),
        (("domain", "sft-mathematics"), ("domain", "sft-both"), "sft"),
        (("domain", "rl-clinic"), ("domain", "rl-both"), "rl"),
        (("forced-exit", "on-72"), ("forced-exit", "off-72"), "eval-sft"),
        (("forced-exit", "on-36"), ("forced-exit", "on-72"), "eval-sft"),
        (("stages", "sft-rl"), ("blind", "all"), "eval-rl"),  # sampled, three times
        (("anchor", "as-is"), ("anchor", "short-chains"), "sft"),
        (("anchor", "as-is"), ("anchor", "half-of-the-golds-wrong"), "rl"),
        (("anchor", "as-is"), ("anchor", "half-of-the-vocabulary"), "sft"),
        (("multimodal", "text"), ("multimodal", "pictures"), "sft"),
    ],
)
def test_what_a_study_varies_is_another_job(ours: tuple[str, str], theirs: tuple[str, str], stage: str) -> None:
    assert inputs(*ours)[stage] != inputs(*theirs)[stage]


def test_of_wrong_golds_rl_alone_hears() -> None:
    assert inputs("anchor", "as-is")["sft"] == inputs("anchor", "half-of-the-golds-wrong")["sft"]


def test_thoughts_that_run_get_the_two_budgets_together() -> None:
    made = matrix("forced-exit", MICRO)
    for budget in (18, 36, 72, 144):
        on, off = (made.runs[f"{state}-{budget}"].recipe.eval for state in ("on", "off"))
        assert (on.think_budget, on.answer_budget) == (budget, 6)
        assert (off.think_budget, off.answer_budget) == (None, budget + 6)
    assert {c for run in made.runs.values() for c in run.recipe.checkpoints} == {"base", "sft"}
    with pytest.raises(RecipeError, match=r"varies `eval.think_budget`"):
        matrix("forced-exit", MICRO, "eval.think_budget=null")
    with pytest.raises(RecipeError, match="4 tokens or more"):
        matrix("forced-exit", MICRO, "eval.think_budget=3")


def test_blind_asks_three_times_with_some_temperature() -> None:
    of = matrix("blind").runs["all"].recipe.eval
    assert (of.epochs, of.temperature) == (3, 0.3)
    assert of.controls
    assert of.controls.images == ("none", "blank", "shuffled")
    large = matrix("blind", LARGE).runs["all"].recipe.eval
    assert (large.epochs, large.temperature) == (5, 0.3)
    assert matrix("blind", MICRO, "eval.temperature=1.0").runs["all"].recipe.eval.temperature == 1.0


def test_medicine_goes_on_from_the_run_that_made_its_base() -> None:
    for recipe in (MICRO, LARGE):
        made = matrix("med", recipe)
        assert {name: run.base_of for name, run in made.runs.items()} == {
            "x-reasoner": None,
            "sft-rl": "x-reasoner",
            "rl": "x-reasoner",
        }
        assert len(path_of(made.runs["rl"].recipe)) == 1


@pytest.mark.parametrize("name", ["init", "scale"])
def test_a_study_of_two_bases_runs_the_same_stages_on_both(name: str) -> None:
    made = matrix(name, LARGE, base="org/other")
    own, other = made.runs.values()
    assert own.recipe.model.base != other.recipe.model.base == "org/other"
    assert own.recipe.stages == other.recipe.stages
    assert own.recipe.eval == other.recipe.eval
    with pytest.raises(RecipeError, match="name that with --base"):
        matrix(name, LARGE)
    with pytest.raises(RecipeError, match="compares no bases"):
        matrix("stages", MICRO, base="org/other")


@pytest.mark.parametrize("name", ["anchor", "multimodal"])
def test_what_only_the_micro_world_can_is_refused_elsewhere(name: str) -> None:
    with pytest.raises(RecipeError, match="which only the micro world can: leave --recipe out"):
        matrix(name, LARGE)


@pytest.fixture
def only(tmp_path: Path) -> Path:
    """A recipe's file without a recipe for medicine beside it."""
    path = tmp_path / "only.yaml"
    path.write_text(MICRO.read_text())
    return path


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize(("final", "got"), [("sft", "has SFT:"), ("sft-direct", "has SFT:")])
def test_a_recipe_without_sft_and_rl_is_refused(name: str, final: str, got: str) -> None:
    with pytest.raises(RecipeError, match=f"one SFT stage and one RL stage; the recipe micro {got} give another"):
        matrix(name, MICRO, f"final={final}", f"eval.controls.checkpoints=[{final}]")


def test_other_orders_of_stages_are_refused() -> None:
    recipe = config.load(MICRO)
    sft, rl = sft_and_rl(recipe)
    for stages, told in (([rl], "has RL"), ([rl, sft], "has RL, then SFT"), ([sft, rl, rl], "SFT, then RL, then RL")):
        named = [s.model_copy(update={"name": f"s{i}"}) for i, s in enumerate(stages)]
        with pytest.raises(RecipeError, match=told):
            sft_and_rl(variant(recipe, named, ["base"]))


def test_what_needs_a_recipe_for_medicine_says_where_it_belongs(only: Path) -> None:
    with pytest.raises(RecipeError, match=r"NAME-med\.yaml"):
        matrix("med", only)
    assert matrix("domain", only).runs  # the micro world draws its clinic


@pytest.mark.parametrize("name", ["domain", "med"])
def test_a_recipe_for_medicine_without_rl_is_refused(name: str) -> None:
    large, med = config.load(LARGE), config.load(RECIPES / "x-reasoner-med.yaml")
    stages = [s for s in med.stages if not isinstance(s, config.RlSpec)]
    without = variant(med, stages, ["base"])
    with pytest.raises(RecipeError, match="x-reasoner-med"):
        STUDIES[name].expand(Given(large, without))


def test_a_contrast_of_two_arms() -> None:
    assert over("n", "a", "b").plus == ("a",)
    assert over("n", "a", "b").minus == ("b",)
    assert over("n", "a", "b", "endless").metric == "endless"


def test_stages_that_cannot_stand_together_are_refused(tmp_path: Path) -> None:
    # The micro world's recipe for medicine has two SFT stages; as the clinic's text of others' mathematics it is none.
    with pytest.raises(RecipeError, match="cannot be made of the stages of the recipe micro"):
        matrix("domain", MICRO, "sft.data={name: gsm8k}")


@pytest.mark.parametrize("override", ["eval.controls.limit=7", "eval.checkpoints=[base, sft, rl]", "rl.steps=3"])
def test_what_names_checkpoints_is_not_for_the_recipe_beside(override: str) -> None:
    asked = ask("med", MICRO, [override], None, None, None)
    assert asked.med == config.load(RECIPES / "micro-med.yaml")


def test_an_evaluation_written_anew_is_not_for_the_recipe_beside() -> None:
    new = "eval={suite: micro, think_budget: 9, answer_budget: 6, temperature: 0.0, checkpoints: [base, sft]}"
    asked = ask("med", MICRO, [new], None, None, None)
    assert asked.recipe.eval.think_budget == 9
    assert asked.med == config.load(RECIPES / "micro-med.yaml")


@pytest.mark.parametrize("launch", ["launch={}", "launch.workers=1"])
def test_launch_and_limits_are_for_the_recipe_beside_too(launch: str) -> None:
    asked = ask("med", MICRO, [launch, "eval.limit=3"], None, None, None)
    for run in asked.matrix(0).runs.values():
        assert run.recipe.launch.workers == 1
        assert run.recipe.eval.limit == 3


def test_benchmarks_that_ask_for_thoughts_are_asked_without_too() -> None:
    large, small = matrix("domain", LARGE), matrix("domain", MICRO)
    asked = {arm.checkpoint for arm in large.arms if arm.name.endswith(", not asked to think")}
    assert {"base-unasked", "sft-unasked", "rl-unasked", "rl-clinic-unasked"} <= asked
    made = {arm.checkpoint for arm in small.arms if arm.name.endswith(", made to think")}
    assert made == {"base-think", "sft-think", "rl-think"}
    helps = next(c for c in large.contrasts if c.name == "being asked to think helps the base")
    assert (helps.plus, helps.minus) == (("base",), ("base, not asked to think",))
