"""torchrun for the ranks of one node: it ends with the process that started it, and leaves for the stage's job which
ranks were first to fail.

    python -m xreasoner.pipeline.agent [options of torchrun] -m xreasoner.pipeline.rank RUN STAGE
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run

from xreasoner.jobs import end_with
from xreasoner.pipeline.launch import PARENT, report_exits
from xreasoner.runs import job_of


def main(arguments: Sequence[str]) -> int:
    """Runs the ranks; 0 when all have ended well."""
    end_with(int(os.environ.get(PARENT, os.getppid())))
    os.environ[PARENT] = str(os.getpid())
    options = parse_args(list(arguments))
    root, stage = options.training_script_args
    try:
        run(options)
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        report_exits(
            job_of(Path(root), stage),
            {rank: (one.exitcode, float(one.timestamp)) for rank, one in error.failures.items()},
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
