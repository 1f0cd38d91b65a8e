"""A real `vllm serve` of the micro base, asked by the endpoint sampler: raw completions in ids for text, a continued
chat for pictures. Both against the local sampler."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from common import BASE, EXITS, greedy, pairs, tell, text_prompts, timed, work_folder

from xreasoner.config import EvalSpec
from xreasoner.eval.suite import load_suite
from xreasoner.rollout.local import LocalSampler
from xreasoner.rollout.served import ServedSampler
from xreasoner.types import Completion, Prompt, SamplingParams

SPEC = EvalSpec(suite="micro", think_budget=72, answer_budget=6)
OPTIONS = (
    "--served-model-name=micro", "--dtype=float32", "--enforce-eager", "--no-enable-chunked-prefill",
    "--max-num-batched-tokens=16384", "--max-num-seqs=32",
)  # fmt: skip
START_SECONDS = 240


@contextmanager
def served(model: Path, log: Path) -> Iterator[str]:
    """The address of a server that runs for a while."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [Path(sys.executable).with_name("vllm"), "serve", model, "--host=127.0.0.1", f"--port={port}", *OPTIONS]
    with log.open("wb") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait(server, url)
        yield f"{url}/v1"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()


def _wait(server: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(1)
    raise SystemExit(f"the server did not start: {server.args}")


def tell_texts(check: str, ours: list[list[Completion]], theirs: list[list[Completion]]) -> None:
    """Spaces are not compared: the micro vocabulary writes them between two words, so that they are missing where one
    side decoded two pieces apart and the other side as one."""
    both = [(_said(a), _said(b)) for a, b in pairs(ours, theirs)]
    counts = {e: sum(b[1] == e for _, b in both) for e in EXITS}
    same = sum(a == b for a, b in both)
    tell(check, "completions of the same text and exit", f"{same} of {len(both)} {counts}", "all", same == len(both))
    print(*(f"{check}: {a} is not {b}" for a, b in both if a != b), sep="\n")


def _said(completion: Completion) -> tuple[str, str, str]:
    return "".join(completion.text.split()), completion.exit, completion.stop


def main() -> None:
    torch.set_num_threads(1)
    folder = work_folder()
    examples = [e for e in load_suite("micro", SPEC, "real", 3, folder / "pictures", 0).examples if e.images]
    seen = [Prompt(e.messages, prefix="<think>", seed=k) for k, e in enumerate(examples)]
    local = LocalSampler.from_dir(BASE)
    with timed("vllm serve"), served(BASE, folder / "server.log") as url:
        with ServedSampler(url, "micro", tokenizer=BASE) as sampler:
            tell("vllm serve", "how it is asked", sampler.found.name, "in ids, continued", "ids" in sampler.found.name)
            for check, params in {
                "vllm serve, text in ids": greedy(12, 4),
                "vllm serve, text in ids, no forced exit": SamplingParams(None, 10),
            }.items():
                prompts = text_prompts(48)
                ours, theirs = sampler.generate(prompts, params), local.generate(prompts, params)
                tell_texts(check, ours, theirs)
                ids = sum(a.token_ids == b.token_ids for a, b in pairs(ours, theirs))
                tell(check, "completions of the same ids", ids, "all", ids == len(prompts))
            for check, params in {
                "vllm serve, pictures, natural exits": greedy(72, 6),
                "vllm serve, pictures, forced exits": greedy(12, 4),
            }.items():
                tell_texts(check, sampler.generate(seen, params), local.generate(seen, params))
        with ServedSampler(url, "micro", protocol="chat") as talker:
            prompts = text_prompts(48)
            tell_texts(
                "vllm serve, text as chat",
                talker.generate(prompts, greedy(12, 4)),
                local.generate(prompts, greedy(12, 4)),
            )


if __name__ == "__main__":
    main()
