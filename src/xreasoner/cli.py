"""The command line: thin. Recipes hold the knobs; heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from xreasoner.errors import RecipeError, StageFailed, UserError
from xreasoner.files import disk_sentence

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Give a vision-language model reasoning from text alone, and measure what carries over to images.",
)
ImageOption = Annotated[str, typer.Option("--image", help="real, none, blank, shuffled, options-only or question-only")]


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="a recipe file, such as recipes/micro.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as seed=1 or rl.steps=20")] = None,
    out: Annotated[Path | None, typer.Option(help="the run folder; default: runs/NAME")] = None,
    until: Annotated[str | None, typer.Option(help="stop when this stage is finished")] = None,
    seeds: Annotated[str | None, typer.Option(help="several seeds, such as 0,1,2: a run folder each")] = None,
) -> None:
    """Run a recipe: train on text, graft, evaluate, report. The same command again continues a broken run."""
    from xreasoner import config

    loaded = config.load(recipe, overrides or [])
    folder = out or Path("runs") / loaded.name
    with _interruptible():
        if seeds is None:
            _run_one(loaded, folder, until)
            return
        chosen = _seeds(seeds)
        folder = out or Path("runs") / f"{loaded.name}-seeds"
        folders = [folder / f"seed-{seed}" for seed in chosen]
        for seed, one in zip(chosen, folders, strict=True):
            _run_one(loaded.model_copy(update={"seed": seed}), one, until)
        if until is None:
            _report(folders, folder, each=False)  # each was told when it ended


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a command that can be continued with a sentence."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("stopped; the same command continues where this one ended", err=True)
        raise typer.Exit(130) from None


def _seeds(text: str) -> list[int]:
    parts = [p.strip() for p in text.split(",")]
    seeds = [int(p) for p in parts if p.isdecimal()]
    if len(seeds) < len(parts) or len(set(seeds)) < len(seeds):
        raise RecipeError(f"--seeds {text} names no seeds: write different whole numbers, such as 0,1,2.")
    return seeds


def _run_one(recipe: Any, folder: Path, until: str | None) -> None:
    from rich.console import Console
    from rich.markup import escape

    from xreasoner import pipeline
    from xreasoner.display import Display

    console = Console()
    console.print(f"[bold]{recipe.name}[/] seed {recipe.seed} -> {escape(str(folder))}")
    with Display(console) as display:
        pipeline.run(recipe, folder, " ".join(["xreasoner", *sys.argv[1:]]), until, display.tick)
    if until is None:
        _report([folder], folder)


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(help="folders of run or eval; several go to FIRST/report-of-N-runs.html")
    ],
    without: Annotated[Path | None, typer.Option(help="a list of ids: compare once more without them")] = None,
) -> None:
    """Write report.html from run folders and print their tables; seeds of one recipe are merged into one table.
    Evaluations, and runs that measured benchmarks, are compared: models beside each other, with what is published."""
    _report(runs, without=without)


def _report(runs: list[Path], folder: Path | None = None, each: bool = True, without: Path | None = None) -> None:
    from xreasoner.report.command import report_command

    report_command(runs, folder, each, without, typer.echo)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="a table of the paper, such as stages, domain, overlong or med")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as for run")] = None,
    recipe: Annotated[Path, typer.Option(help="the recipe that it is made from")] = Path("recipes/micro.yaml"),
    seeds: Annotated[str | None, typer.Option(help="such as 0,1,2; default: the study's own")] = None,
    out: Annotated[Path | None, typer.Option(help="default: runs/studies/NAME")] = None,
    base: Annotated[
        str | None, typer.Option(help="the other model of a study that compares two: folder, hub id")
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="only write the page again, from the run folders")] = False,
) -> None:
    """Run a study: a matrix of recipes, one table, one figure, one sentence. The same command again goes on."""
    from xreasoner.study.command import study_command

    chosen = None if seeds is None else _seeds(seeds)
    with _interruptible():
        study_command(name, recipe, overrides or [], chosen, out, base, rebuild)


@app.command(name="eval")
def evaluate(
    model: Annotated[str, typer.Argument(help="folder, hub id, micro, name at --endpoint, or inspect/PROVIDER/MODEL")],
    suite: Annotated[str, typer.Option(help="a suite, such as micro or paper, or benchmarks: gsm8k,mmmu")] = "micro",
    image: ImageOption = "real",
    limit: Annotated[
        int | None, typer.Option(min=1, help="questions of each benchmark (micro: of each cell), at most")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="samples of every problem")] = 1,
    out: Annotated[Path | None, typer.Option(help="default: runs/eval-MODEL-HASH-SUITE-IMAGE")] = None,
    think_budget: Annotated[int | None, typer.Option(min=1, help="tokens, then thoughts are closed by force")] = None,
    answer_budget: Annotated[int | None, typer.Option(min=1, help="tokens for the answer after them")] = None,
    max_pixels: Annotated[int | None, typer.Option(min=1, help="larger pictures are made smaller")] = None,
    preset: Annotated[str | None, typer.Option(help="a model's, such as microsoft/X-Reasoner-7B; or none")] = None,
    rollout: Annotated[str, typer.Option(help="what samples: local or vllm")] = "local",
    endpoint: Annotated[str | None, typer.Option(help="an OpenAI-compatible server: http://localhost:8000/v1")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="folder or hub id of the served model's tokenizer")] = None,
    key_variable: Annotated[str, typer.Option(help="environment variable with its key")] = "OPENAI_API_KEY",
    at_once: Annotated[int, typer.Option(min=1, help="requests at the same time")] = 32,
) -> None:
    """Evaluate a model on a suite. The same command again completes a broken evaluation."""
    from xreasoner.evaluation import evaluate_model
    from xreasoner.evaluation.models import Asked

    with _interruptible():
        asked = Asked(
            think_budget, answer_budget, max_pixels, preset, rollout, endpoint, tokenizer, key_variable, at_once
        )
        evaluate_model(model, suite, image, limit, epochs, out, asked)


@app.command()
def audit(
    name: Annotated[str, typer.Argument(help="a dataset, such as gsm8k, medqa or jsonl")],
    path: Annotated[Path | None, typer.Option(help="a local copy: a file or a folder; default: the Hub")] = None,
    json: Annotated[Path | None, typer.Option(help="write the figures to this file too")] = None,
) -> None:
    """Tell what a training set holds: rows kept, rows quarantined and why, lengths, overlap with benchmarks."""
    from xreasoner.audit import audit as audit_dataset

    with _interruptible():
        audit_dataset(name, path, json)


@app.command()
def check(
    recipe: Annotated[Path, typer.Argument(help="a recipe file, such as recipes/micro.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, as for run")] = None,
    out: Annotated[Path | None, typer.Option(help="the run folder; default: runs/NAME")] = None,
) -> None:
    """Try all that can fail before the first expensive step, and tell every failure with its mend."""
    from xreasoner.check import check_recipe

    try:
        sound = check_recipe(recipe, overrides or [], out, _memory_estimates)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if not sound:
        raise typer.Exit(2)


def _memory_estimates(recipe: Any, tokenizer: Any) -> list[Any]:
    """What `plan` says of the memory that each part of a run takes on this machine, as `check` wants it."""
    from xreasoner.check import Estimate
    from xreasoner.plan.estimate import make_plan
    from xreasoner.plan.machine import machine_of

    plan = make_plan(recipe, machine_of(recipe.launch, None, None), tokenizer)
    return [Estimate(s.name, s.peak.total, plan.machine.usable, s.peak.lacks) for s in plan.stages]


@app.command()
def plan(
    recipe: Annotated[Path, typer.Argument(help="a recipe file, such as recipes/x-reasoner.yaml")],
    overrides: Annotated[list[str] | None, typer.Argument(help="key=value, such as rl.kl_coef=0")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, max=100_000, help="default: the recipe's launch")] = None,
    gpu: Annotated[str | None, typer.Option(help="kind: a100-40gb, a100, h100, h100-pcie, h200, b200, l40s...")] = None,
    gpu_memory: Annotated[str | None, typer.Option(help="of each, as 80GB or 40GiB; default: this machine's")] = None,
    json: Annotated[Path | None, typer.Option(help="write the figures to this file too")] = None,
) -> None:
    """Tell what a recipe will need: memory by stage, tokens, FLOPs, hours, disk; and what to change if it is a lot."""
    from xreasoner.plan import plan_command

    plan_command(recipe, overrides or [], gpus, gpu_memory, json, gpu)


@app.command()
def score(
    answers: Annotated[Path, typer.Argument(help="JSONL rows with text, gold, kind (math, choice or number)")],
    out: Annotated[Path, typer.Option(help="the same rows with outcome, extracted and method")],
) -> None:
    """Judge anybody's outputs with the verifier that rewards and benchmarks use."""
    from xreasoner.score import score_file

    counts = score_file(answers, out)
    typer.echo("  ".join(f"{outcome} {n}" for outcome, n in counts.items()))
    typer.echo(f"scored: {out}")


@app.command()
def solvable(
    evaluations: Annotated[
        list[Path], typer.Argument(help="folders of eval --image none, or of runs with that control")
    ],
    out: Annotated[Path, typer.Option(help="the JSON file of ids, for report --without")],
    rule: Annotated[
        str, typer.Option(help="always: in all samples, by one; majority: of samples and models")
    ] = "always",
) -> None:
    """List the questions that models solve without their picture, so that a report can leave them out."""
    from xreasoner.solvable import solvable_command

    solvable_command(evaluations, rule, out, typer.echo)


@app.command()
def distill(
    name: Annotated[str, typer.Argument(help="a dataset whose questions the teacher answers")],
    teacher: Annotated[str, typer.Option(help="a folder, a hub id, a name at --endpoint, or inspect/PROVIDER/MODEL")],
    out: Annotated[Path, typer.Option(help="the folder of samples, traces and problems")],
    path: Annotated[Path | None, typer.Option(help="a local copy of the dataset")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="the first rows alone")] = None,
    samples: Annotated[int, typer.Option(min=1, help="answers to every question")] = 4,
    keep: Annotated[str, typer.Option(help="of the right answers: shortest, random or all")] = "shortest",
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time")] = 1.0,
    think_budget: Annotated[int, typer.Option(min=1, help="tokens for thoughts")] = 4096,
    answer_budget: Annotated[int, typer.Option(min=1, help="tokens for the answer after them")] = 1024,
    endpoint: Annotated[str | None, typer.Option(help="an OpenAI-compatible server: http://localhost:8000/v1")] = None,
    key_variable: Annotated[str, typer.Option(help="environment variable with its key")] = "OPENAI_API_KEY",
    at_once: Annotated[int, typer.Option(min=1, help="requests at the same time")] = 8,
    per_minute: Annotated[int | None, typer.Option(min=1, help="requests a minute, at most")] = None,
    seed: Annotated[int, typer.Option(help="of the samples, and of what is kept at random")] = 0,
) -> None:
    """Let a teacher answer training questions; keep what the verifier accepts, and how often each was solved."""
    from xreasoner.distillation import distill_command

    with _interruptible():
        distill_command(
            name,
            teacher,
            out,
            path=path,
            rows=rows,
            samples=samples,
            keep=keep,
            temperature=temperature,
            think_budget=think_budget,
            answer_budget=answer_budget,
            endpoint=endpoint,
            api_key_variable=key_variable,
            at_once=at_once,
            per_minute=per_minute,
            seed=seed,
        )


@app.command()
def chat(
    model: Annotated[str, typer.Argument(help="a model's folder or Hugging Face id: a VLM, or a text-only model")],
    image: Annotated[Path | None, typer.Option(help="a picture to show with the first message")] = None,
    think_budget: Annotated[int | None, typer.Option(min=1, help="tokens, then thoughts are closed by force")] = None,
    answer_budget: Annotated[int | None, typer.Option(min=1, help="tokens for the answer after them")] = None,
    seed: Annotated[int, typer.Option(help="the same seed and messages give the same answers, after /new too")] = 0,
    temperature: Annotated[float, typer.Option(min=0, help="0 takes the likeliest token each time")] = 0.3,
) -> None:
    """Talk to a model: thoughts and answer as they come. Ctrl-C stops an answer, Ctrl-D ends the talk."""
    try:
        from xreasoner.chat import talk

        talk.chat(model, image, think_budget, answer_budget, seed, temperature)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


micro = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The micro world, to play with.")
app.add_typer(micro, name="micro")


@micro.command()
def draw(
    domain: Annotated[str, typer.Option(help="math or clinic")] = "math",
    steps: Annotated[int, typer.Option(help="operations in the chain: 1 to 4")] = 3,
    kind: Annotated[str, typer.Option(help="page: the problem's lines; chart: a bar chart with its start")] = "page",
    seed: Annotated[int, typer.Option(help="which problem")] = 0,
    out: Annotated[Path | None, typer.Option(help="the PNG file; default: DOMAIN-STEPS-KIND-SEED.png")] = None,
) -> None:
    """Draw a problem of the dev split, drawn as evaluation draws it; print what to ask about it, and the answer."""
    from xreasoner.micro.draw import draw_problem

    path = out or Path(f"{domain}-{steps}-{kind}-{seed}.png")
    typer.echo(draw_problem(domain, steps, kind, seed, path))


def main() -> None:
    """The entry point: what a person can mend is one sentence and exit code 2."""
    try:
        app()
    except UserError as e:
        _fail(str(e), 2)
    except StageFailed as e:
        _fail(str(e), 1)
    except OSError as e:
        sentence = disk_sentence(e)
        if sentence is None:
            raise
        _fail(sentence, 2)


def _fail(sentence: str, code: int) -> None:
    """The sentence may quote a model, a dataset or a log: the terminal obeys nothing in it."""
    from xreasoner.chat.screen import printable

    typer.echo(f"error: {printable(sentence)}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
