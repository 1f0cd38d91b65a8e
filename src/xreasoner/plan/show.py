"""A plan in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from xreasoner.config import LaunchSpec
from xreasoner.files import size
from xreasoner.plan.compute import Work
from xreasoner.plan.estimate import Plan, StagePlan
from xreasoner.plan.machine import USABLE
from xreasoner.plan.memory import cache_bytes_a_token

_WAYS = {"none": "DDP", "fsdp2": "fsdp2", "offload": "offload"}
_NARROW = 80  # columns


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
    """Prints the plan: the model, a line a stage, what does not fit and what then, and every assumption. Names and
    paths are printed as they are, whatever brackets they hold."""
    sizes, machine = plan.sizes, plan.machine
    guessed = ", assumed from its memory: --gpu names another" if machine.guessed else ""
    console.print(
        Text.assemble(
            (plan.recipe.name, "bold"),
            f": {plan.recipe.model.label or plan.recipe.model.base}, {amount(sizes.tower)} tower + "
            f"{amount(sizes.vision)} vision parameters, on {machine.count} x {machine.name} ({size(machine.memory)}"
            f"{guessed}), of which tensors can have {size(machine.usable)}",
        )
    )
    if plan.overrides:
        recipe = plan.recipe.launch
        console.print(f"The recipe launches {_processes(recipe)}. Planned is {_processes(plan.launch)}:")
        _print_overrides(plan.overrides, console)
    narrow = console.width < _NARROW
    console.print(_memory_table(plan, narrow))
    if narrow:
        for stage in plan.stages:
            console.print(Text(f"{stage.name}: {_largest(stage)}"))
    console.print(_work_table(plan, narrow))
    for stage in plan.stages:
        if stage.refused:
            console.print(Text.assemble((f"{stage.name} would be refused", "red"), f": {stage.refused}"))
        if not stage.peak.fits(machine.usable):
            _advise(stage, plan, console)
    console.print(f"disk: {size(plan.disk_kept)} kept, {size(plan.disk_most)} at most while it runs (models alone)")
    _assumptions(plan, console)


def _processes(launch: LaunchSpec) -> str:
    nodes = f" on each of {launch.nodes} machines" if launch.nodes > 1 else ""
    return f"{launch.processes} process{'es' * (launch.processes > 1)}{nodes}"


def _print_overrides(words: Sequence[str], console: Console, indent: int = 2) -> None:
    """As many words on a line as there is room for; a backslash at its end goes on for a shell that it is pasted to."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and len(longer) > console.width - indent - 2:
            lines.append(word)
        else:
            lines[-1] = longer
    told = " \\\n".join(" " * indent + line for line in lines)
    console.print(Text(told), highlight=False)


def _memory_table(plan: Plan, narrow: bool) -> Table:
    several = plan.machine.count > 1
    table = Table(title="Peak of tensors on one device", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    columns = ("none", "fsdp2", "offload") if several else ("none",)
    for way in columns:
        table.add_column(_WAYS[way] if several else "peak", justify="right", no_wrap=True)
    table.add_column("micro-batch", justify="right", header_style="bold", no_wrap=True)
    if not narrow:
        table.add_column("most of it", ratio=1)
    for stage in plan.stages:
        cells = []
        for way in columns:
            peak = stage.peaks.get(way)
            if peak is None or not peak.parts:
                cells.append(Text("-"))
                continue
            colour = "green" if peak.fits(plan.machine.usable) else "red"
            mark = "*" if several and way == stage.way and len(stage.peaks) > 1 else ""
            cells.append(Text.assemble((size(peak.total), colour), mark))
        trained = stage.kind in ("sft", "rl")
        fits = ("none fits" if stage.micro_batch is None else f"up to {stage.micro_batch}") if trained else ""
        table.add_row(Text(stage.name), *cells, fits, *([] if narrow else [Text(_largest(stage))]))
    return table


def _largest(stage: StagePlan) -> str:
    """The largest parts of a stage's peak."""
    largest = sorted(stage.peak.parts.items(), key=lambda part: -part[1])[:3]
    return ", ".join(f"{name} {size(n)}" for name, n in largest) or stage.peak.moment


def _work_table(plan: Plan, narrow: bool) -> Table:
    table = Table(title="Work", title_justify="left", box=None, pad_edge=False)
    table.add_column("stage", overflow="fold")
    for name in (
        ("tokens", "FLOPs", "time (range)") if narrow else ("rows", "tokens", "FLOPs", "recomputed", "time (range)")
    ):
        table.add_column(name, justify="right", no_wrap=True)
    for stage in plan.stages:
        name = f"evaluation, each of {plan.evaluations}" if stage.kind == "eval" else stage.name
        work, load = stage.work, stage.load
        flops, again, took = "-", "", stage.peak.moment.partition(":")[0]
        if work is not None:
            flops, took = amount(work.model), duration(work)
            more = work.recomputed - work.model
            again = f"+{more / work.model:.0%}" if more else ""
        cells = (amount(load.tokens), flops, took)
        table.add_row(Text(name), *(cells if narrow else (f"{load.rows:,}", *cells[:2], again, took)))
    return table


def _advise(stage: StagePlan, plan: Plan, console: Console) -> None:
    usable, peak = plan.machine.usable, stage.peak
    why = f"{size(peak.total)} at the {peak.moment}"
    if peak.lacks:
        why += f"; vLLM's share is {size(peak.lacks)} too small for its weights and one row"
    console.print(Text.assemble((f"{stage.name} does not fit", "red"), f": {why}."))
    for change in stage.changes:
        fits = change.peak.fits(usable)
        console.print(
            Text.assemble(
                f"{size(change.peak.total):>10}  ", ("fits" if fits else "does not fit", "green" if fits else "red")
            )
        )
        _print_overrides(change.overrides, console, indent=12)
    if stage.kind in ("eval", "distill"):
        shorter = "" if plan.recipe.launch.rollout == "vllm" else ", or launch.rollout=vllm, which takes what there is"
        console.print(f"  shorter budgets{shorter}")


def _assumptions(plan: Plan, console: Console) -> None:
    machine = plan.machine
    console.print("Assumed", style="bold")
    speed = "its peak is not known, so no hours" if machine.flops is None else f"{machine.flops / 1e12:.3g} TFLOP/s"
    if machine.bandwidth is not None:
        speed += f" and {machine.bandwidth / 1e12:.4g} TB/s"
    lines = [f"{machine.name}: {speed}; {1 - USABLE:.0%} of its memory is left to CUDA and to gaps"]
    lines += [f"{stage.name}: {stage.load.source}" for stage in plan.stages]
    shares = {stage.work.share.source: stage.work.share for stage in plan.stages if stage.work is not None}
    lines += [f"{source} (range {s.low:.0%} to {s.high:.0%})" if s.mid else source for source, s in shares.items()]
    if any(len(stage.peaks) > 1 for stage in plan.stages):
        lines.append("* is the recipe's own way; fsdp2 in RL samples with vLLM, whose share is in the peak")
    lines += _vllm_room(plan)
    hosts = [_host(stage) for stage in plan.stages if stage.hosts]
    if hosts:
        lines.append(
            f"the CPU's memory that {plan.launch.processes} process{'es' * (plan.launch.processes > 1)} of one machine "
            f"take for weights, each reading whole models before they go to the GPUs: {', '.join(hosts)}"
        )
    lines.append(f"dimensions from {plan.shape_from}; how all this is counted: docs/hardware.md")
    for line in lines:
        console.print(Text(f"- {line}", style="dim"))


def _host(stage: StagePlan) -> str:
    """What a stage takes of the CPU's memory, and where it would be another amount in another way."""
    own = stage.hosts[stage.way]
    others = ", ".join(f"{_WAYS[way]} {size(n)}" for way, n in stage.hosts.items() if n != own)
    return f"{stage.name} {size(own)}" + (f" ({others})" if others else "")


def _vllm_room(plan: Plan) -> list[str]:
    """What vLLM's share holds beside the weights, where a stage of RL may sample with it."""
    stages = [stage for stage in plan.stages if stage.kind == "rl"]
    if not stages or (plan.launch.rollout == "local" and all(len(stage.peaks) == 1 for stage in stages)):
        return []
    spec, sizes = plan.launch.vllm, plan.sizes
    share, weights = spec.memory_share * plan.machine.memory, sizes.tower * 2 / spec.tensor_parallel
    token = cache_bytes_a_token(sizes) / min(spec.tensor_parallel, sizes.kv_heads)
    tokens = max(0.0, share - weights) / token
    line = f"vLLM has {size(share)} a GPU, of which weights take {size(weights)}: room for {amount(tokens)} tokens"
    longest = max(stage.load.lengths.row for stage in stages)
    few = tokens < 8 * longest
    return [line + (f", fewer than 8 rows of {longest}: raise vllm.memory_share or tensor_parallel" if few else "")]
