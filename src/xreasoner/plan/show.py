"""A plan in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from xreasoner.plan.compute import Work
from xreasoner.plan.estimate import Plan, StagePlan
from xreasoner.plan.machine import USABLE
from xreasoner.plan.memory import cache_bytes_a_token

_WAYS = {"none": "DDP", "fsdp2": "fsdp2", "offload": "offload"}


def size(nbytes: float) -> str:
    """Bytes in decimal units.

    >>> size(57_344), size(92_000_000_000)
    ('57 kB', '92 GB')
    """
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= factor:
            value = nbytes / factor
            return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"
    return f"{nbytes:.0f} B"


def amount(count: float) -> str:
    """A count in words of a thousand.

    >>> amount(7_615_616_512), amount(3.2e21)
    ('7.6 B', '3.2e21')
    """
    if count >= 1e15:
        mantissa, exponent = f"{count:.1e}".split("e+")
        return f"{mantissa}e{int(exponent)}"
    for unit, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f}"


def duration(work: Work) -> str:
    """The hours, or minutes, with their range."""
    if work.hours is None:
        return "?"
    low, mid, high = work.hours
    unit, factor = ("h", 1) if mid >= 1 else ("min", 60)

    def number(hours: float) -> str:
        value = hours * factor
        return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"

    return f"{number(mid)} {unit} ({number(low)}-{number(high)})"


def show(plan: Plan, console: Console) -> None:
    """Prints the plan: the model, a line a stage, what does not fit and what then, and every assumption."""
    sizes, machine = plan.sizes, plan.machine
    kind = "GPU" if machine.device == "cuda" else "CPU"
    console.print(
        f"[bold]{plan.recipe.name}[/]: {plan.recipe.model.label or plan.recipe.model.base}, "
        f"{amount(sizes.tower)} tower + {amount(sizes.vision)} vision parameters, on {machine.count} x "
        f"{size(machine.memory)} {kind}, of which tensors can have {size(machine.usable)}"
    )
    console.print(_memory_table(plan))
    console.print(_work_table(plan))
    for stage in plan.stages:
        if not stage.fits:
            _advise(stage, plan, console)
    console.print(f"disk: {size(plan.disk_kept)} kept, {size(plan.disk_most)} at most while it runs (models alone)")
    _assumptions(plan, console)


def _memory_table(plan: Plan) -> Table:
    several = plan.machine.count > 1
    table = Table(title="Peak of tensors on one device", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", no_wrap=True)
    columns = ("none", "fsdp2", "offload") if several else ("none",)
    for way in columns:
        table.add_column(_WAYS[way] if several else "peak", justify="right", no_wrap=True)
    table.add_column("micro-batch", justify="right", header_style="bold")
    table.add_column("most of it", ratio=1)
    for stage in plan.stages:
        cells = []
        for way in columns:
            peak = stage.peaks.get(way)
            if peak is None or not peak.parts:
                cells.append("-")
                continue
            colour = "green" if peak.total <= plan.machine.usable else "red"
            mark = "*" if several and way == stage.way and len(stage.peaks) > 1 else ""
            cells.append(f"[{colour}]{size(peak.total)}[/]{mark}")
        trained = stage.kind in ("sft", "rl")
        fits = ("none fits" if stage.micro_batch is None else f"up to {stage.micro_batch}") if trained else ""
        largest = sorted(stage.peak.parts.items(), key=lambda part: -part[1])[:3]
        told = ", ".join(f"{name} {size(n)}" for name, n in largest) or stage.peak.moment
        table.add_row(stage.name, *cells, fits, told)
    return table


def _work_table(plan: Plan) -> Table:
    table = Table(title="Work", title_justify="left", box=None, pad_edge=False)
    for name in ("stage", "rows", "tokens", "FLOPs", "recomputed", "time (range)"):
        table.add_column(name, justify="left" if name == "stage" else "right", no_wrap=True)
    for stage in plan.stages:
        name = f"evaluation, each of {plan.evaluations}" if stage.kind == "eval" else stage.name
        again = stage.work.recomputed - stage.work.model
        share = f"+{again / stage.work.model:.0%}" if again else ""
        load = stage.load
        table.add_row(
            name, f"{load.rows:,}", amount(load.tokens), amount(stage.work.model), share, duration(stage.work)
        )
    return table


def _advise(stage: StagePlan, plan: Plan, console: Console) -> None:
    console.print(f"[red]{stage.name} does not fit[/]: {size(stage.peak.total)} at the {stage.peak.moment}.")
    for change in stage.changes:
        fits = change.peak.total <= plan.machine.usable
        colour, word = ("green", "fits") if fits else ("red", "does not")
        console.print(f"  {size(change.peak.total):>8}  [{colour}]{word:8}[/]  {change.words}", highlight=False)
    if stage.kind in ("eval", "distill"):
        console.print("  shorter budgets, or launch.rollout=vllm, which takes what there is")


def _assumptions(plan: Plan, console: Console) -> None:
    machine = plan.machine
    console.print("[bold]Assumed[/]")
    speed = "its peak is not known, so no hours" if machine.flops is None else f"{machine.flops / 1e12:.3g} TFLOP/s"
    lines = [f"{machine.name}: {speed}; {1 - USABLE:.0%} of its memory is left to CUDA and to gaps"]
    lines += [f"{stage.name}: {stage.load.source}" for stage in plan.stages]
    shares = {stage.work.share.source: stage.work.share for stage in plan.stages}
    lines += [f"{source} (range {s.low:.0%} to {s.high:.0%})" if s.mid else source for source, s in shares.items()]
    if any(len(stage.peaks) > 1 for stage in plan.stages):
        lines.append("* is the recipe's own way; fsdp2 in RL samples with vLLM, whose share is in the peak")
        lines += _vllm_room(plan)
        host = max(stage.host for stage in plan.stages)
        lines.append(f"offload also takes {size(host)} of the CPU's memory for every process")
    lines.append(f"dimensions from {plan.shape_from}; how all this is counted: docs/hardware.md")
    for line in lines:
        console.print(f"- {line}", style="dim", highlight=False)


def _vllm_room(plan: Plan) -> list[str]:
    """What vLLM's share holds beside the weights, where a stage of RL may sample with it."""
    if not any(stage.kind == "rl" for stage in plan.stages):
        return []
    spec = plan.recipe.launch.vllm
    share = spec.memory_share * plan.machine.memory
    weights = plan.sizes.tower * 2 / spec.tensor_parallel
    tokens = max(0.0, share - weights) / (cache_bytes_a_token(plan.sizes) / spec.tensor_parallel)
    line = f"vLLM has {size(share)} a GPU, of which weights take {size(weights)}: room for {amount(tokens)} tokens"
    longest = max(stage.load.lengths.row for stage in plan.stages if stage.kind == "rl")
    few = tokens < 8 * longest
    return [line + (f", fewer than 8 rows of {longest}: raise vllm.memory_share or tensor_parallel" if few else "")]
