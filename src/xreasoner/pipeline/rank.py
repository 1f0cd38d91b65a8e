"""One process of a stage that is trained in several, as torchrun starts it: `python -m xreasoner.pipeline.rank RUN
STAGE`. What goes wrong is left for the stage's job, which tells a person."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from xreasoner.errors import UserError
from xreasoner.files import disk_guard, write_json
from xreasoner.jobs import USER_ERROR_EXIT, end_with
from xreasoner.pipeline.launch import PARENT, SUMMARY, rank_log, report_error, train_here
from xreasoner.pipeline.rows import rows_of
from xreasoner.runs import RunDir, job_of


def main(root: Path, name: str) -> None:
    """Trains this process's share of a stage; does not return where that fails."""
    end_with(int(os.environ[PARENT]))
    rank, job = int(os.environ["RANK"]), job_of(root, name)
    try:
        if rank:
            log = os.open(rank_log(job, rank), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
            os.dup2(log, 1)
            os.dup2(log, 2)
        run_dir = RunDir.existing(root)
        stage = next(s for s in run_dir.recipe.training if s.name == name)
        with disk_guard(job.path):
            summary = train_here(run_dir, stage, job, rows_of(run_dir, stage))
            if rank == 0:
                write_json(job.path / SUMMARY, summary)
    except Exception as error:
        report_error(job, rank, error)
        traceback.print_exc()
        sys.stderr.flush()
        # At once: what tidies up at the end of a process would wait for ranks that wait for this one.
        os._exit(USER_ERROR_EXIT if isinstance(error, UserError) else 1)
    from torch.distributed import destroy_process_group, is_initialized

    if is_initialized():
        destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
