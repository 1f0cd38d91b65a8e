"""What earlier calls have left in Inspect's log. The archive is read here, in one pass: Inspect's own reader opens it
anew for every sample, which on 10,000 of them takes minutes."""

from __future__ import annotations

import json
import logging
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from inspect_ai.log import EvalLog, EvalLogInfo, list_eval_logs, read_eval_log

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample that was answered and judged: the completion, and what else is known of it (outcome, exit, stop,
    n_tokens, prefix). `finished` is the time, in ISO's form."""

    id: str
    epoch: int
    completion: str
    details: dict[str, Any]
    finished: str


@dataclass(frozen=True, slots=True)
class Found:
    """A log and its answers."""

    info: EvalLogInfo
    log: EvalLog
    answers: list[Answer]


def find_log(folder: Path, fingerprint: str) -> Found | None:
    """The readable log of the same evaluation that holds most answers; of several a finished one, then the newest."""
    found: list[Found] = []
    for info in list_eval_logs(str(folder)) if folder.exists() else []:
        try:
            log = read_eval_log(info, header_only=True)
            if (log.eval.metadata or {}).get("fingerprint") == fingerprint:
                found.append(Found(info, log, read_answers(Path(unquote(urlsplit(info.name).path)))))
        except Exception as error:  # a file that was cut off can break in many ways; the log before it may be whole
            _LOG.warning("%s is damaged and is left aside, its samples are asked again: %s", info.name, error)
    return max(found, key=lambda each: (len(each.answers), each.log.status == "success"), default=None)


def read_answers(path: Path) -> list[Answer]:
    """The answered samples of a log; of two with one id and epoch the later."""
    found: dict[tuple[str, int], Answer] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.startswith("samples/") and name.endswith(".json"):
                sample = json.loads(archive.read(name))
                score = next(iter((sample.get("scores") or {}).values()), None)
                if score is None or sample.get("error") is not None:
                    continue
                answer = Answer(
                    str(sample["id"]),
                    int(sample["epoch"]),
                    _completion(sample["output"]),
                    dict(score.get("metadata") or {}),
                    str(sample.get("completed_at") or ""),
                )
                found[answer.id, answer.epoch] = answer
    return list(found.values())


def _completion(output: dict[str, Any]) -> str:
    content = output["choices"][0]["message"]["content"]
    assert isinstance(content, str), "completions are logged as text"
    return content
