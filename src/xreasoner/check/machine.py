"""What a run needs of the machine: its folder, disk, devices, and what it is launched with."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

from xreasoner.check.finding import Context, Finding, failed, ok, warning
from xreasoner.config import SftSpec
from xreasoner.errors import UserError
from xreasoner.files import size
from xreasoner.model.families import family_of
from xreasoner.model.room import check_disk, weights_of
from xreasoner.pipeline.launch import refusals, visible_gpus
from xreasoner.rollout.open import check_sampler
from xreasoner.runs import RunDir

_GB = 2**30
SMALLER = "`xreasoner plan` says what fits: adapters, fsdp2, smaller micro-batches or budgets"


def check_out(context: Context) -> Iterator[Finding]:
    """The run's folder: writeable, and not that of another recipe."""
    out = context.out
    RunDir.check(out, context.recipe)
    existing = next(p for p in (out, *out.resolve().parents) if p.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        yield failed(f"{existing} cannot be written ({error.strerror})", "give another --out")
        return
    goes_on = (out / "recipe.yaml").exists()
    yield ok(f"{out} " + ("holds a run of this recipe, which goes on" if goes_on else "can be written"))


def check_disk_room(context: Context) -> Iterator[Finding]:
    """Room for all models that a run writes."""
    weights = weights_of(family_of(context.base), context.shards[0])
    need, free = check_disk(context.out, context.recipe, weights)
    yield ok(f"about {need / _GB:.1f} GiB needed at most, {free / _GB:.1f} GiB free")


def check_devices(context: Context) -> Iterator[Finding]:
    """GPUs, what they can, and whether the stages fit."""
    import torch

    stages, gpus = context.recipe.training, torch.cuda.device_count()
    if not gpus:
        memory, cores = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), os.cpu_count()
        yield ok(f"no GPU; {cores} cores, {memory / _GB:.1f} GiB of memory")
        if any(stage.bf16 for stage in stages):
            yield warning("`bf16` without a GPU is only faster where the CPU has instructions for it")
    else:
        properties = [torch.cuda.get_device_properties(i) for i in range(gpus)]
        memory = min(p.total_memory for p in properties)
        names = ", ".join(sorted({p.name for p in properties}))
        yield ok(f"{gpus} GPU{'s' if gpus > 1 else ''} ({names}), {memory / _GB:.1f} GiB each")
        if any(stage.bf16 for stage in stages) and not torch.cuda.is_bf16_supported():
            yield failed(f"{names} cannot compute in bf16", "set `bf16: false` in every stage, or take a newer GPU")


def check_memory(context: Context) -> Iterator[Finding]:
    """Whether every stage and the evaluation fit, by the plan."""
    if context.estimates is None:
        yield warning("not estimated: see `xreasoner plan`")
        return
    fit = []
    for estimate in context.estimates(context.recipe, context.tokenizer):
        told = f"`{estimate.stage}` about {size(estimate.peak_bytes)}"
        if estimate.peak_bytes > estimate.device_bytes:
            yield failed(f"{told} of {size(estimate.device_bytes)}", SMALLER)
        elif estimate.vllm_lacks_bytes:
            lacking = f"vLLM's share is {size(estimate.vllm_lacks_bytes)} too small for its weights and one row"
            yield failed(f"{told}, but {lacking}", "raise `launch.vllm.memory_share`, or see `xreasoner plan`")
        else:
            fit.append(told)
    if fit:
        yield ok(f"{', '.join(fit)}, which fits")


def check_launch(context: Context) -> Iterator[Finding]:
    """What a run itself asks of its launch first, and what would only be slow."""
    from xreasoner.train.tracking import check_trackers

    launch = context.recipe.launch
    before = [failed(str(refusal)) for refusal in refusals(context.recipe)]
    if launch.rollout == "vllm" and not visible_gpus():
        before.append(warning("vLLM without a GPU needs a build of it for CPUs"))
    for can_be in (check_sampler, check_trackers):
        try:
            can_be(launch)
        except UserError as error:
            before.append(failed(str(error)))
    for stage in context.recipe.training:
        before += _idle(stage, launch.processes * launch.nodes) if isinstance(stage, SftSpec) else ()
    cores, busy = os.cpu_count() or 1, launch.threads * max(launch.workers, launch.processes)
    if busy > cores:
        before.append(warning(f"{busy} threads on {cores} cores", "lower `launch.threads` or `launch.workers`"))
    yield from before
    if not any(finding.state == "failed" for finding in before):
        many = f"{launch.processes} process{'es' if launch.processes > 1 else ''}"
        yield ok(f"{many} on {launch.nodes} machine{'s' if launch.nodes > 1 else ''}, {launch.rollout} sampler")


def _idle(stage: SftSpec, processes: int) -> Iterator[Finding]:
    """SFT spreads any batch over its processes (train/order.py)."""
    if stage.batch_sequences < processes:
        yield warning(
            f"`{stage.name}`: a batch of {stage.batch_sequences} leaves some of {processes} processes idle",
            "raise `batch_sequences`, or lower `launch.processes`",
        )
