"""Outside teachers: there, and willing to talk."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx

from xreasoner.check.finding import Context, Finding, failed, ok, warning
from xreasoner.config import DistillSpec, TeacherSpec
from xreasoner.errors import UserError
from xreasoner.rollout.keys import all_secrets, excerpt, key_of

_SECONDS, _BYTES = 5.0, 2**20


def check_teachers(context: Context) -> Iterator[Finding]:
    """Teachers of distill stages that are not of this run; a server is asked for its list of models."""
    from xreasoner.model.hub import resolve_model

    for stage in context.recipe.stages:
        if not isinstance(stage, DistillSpec):
            continue
        teacher = stage.teacher
        if isinstance(teacher, str):
            yield ok(f"`{stage.name}`: the checkpoint `{teacher}` of this run")
            continue
        try:
            if teacher.endpoint is not None:
                yield _asked(stage.name, teacher, teacher.endpoint)
            elif teacher.inspect_name is not None:
                yield _of_inspect(stage.name, teacher)
            else:
                resolve_model(teacher.model, weights=False)
                yield ok(f"`{stage.name}`: {teacher.model}")
        except UserError as error:
            yield failed(f"`{stage.name}`: {error}")
    if not any(isinstance(stage, DistillSpec) for stage in context.recipe.stages):
        yield ok("the recipe has none")


def _asked(stage: str, teacher: TeacherSpec, endpoint: str) -> Finding:
    key = key_of(teacher.api_key_variable)
    note = "" if key else f"; the environment variable {teacher.api_key_variable} holds no key, so none is sent"
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    mend = "start the server before the run comes to this stage, or mend the address (it often ends in /v1)"
    try:
        with (
            httpx.Client(timeout=_SECONDS, headers=headers) as client,
            client.stream("GET", endpoint.rstrip("/") + "/models") as response,
        ):
            content = b""
            for part in response.iter_bytes():
                content += part
                if len(content) > _BYTES:
                    break
    except (httpx.HTTPError, OSError, ValueError, ImportError) as error:
        return warning(f"`{stage}`: no server answers at {endpoint} ({type(error).__name__}){note}", mend)
    if not response.is_success:
        return warning(f"`{stage}`: {endpoint} says HTTP {response.status_code}, asked for its models{note}", mend)
    try:
        names = [str(model["id"]) for model in json.loads(content)["data"]]
    except (ValueError, LookupError, TypeError, RecursionError):
        return warning(f"`{stage}`: {endpoint} answers with something that is no list of models{note}", mend)
    if teacher.model not in names:
        known = excerpt(", ".join(names[:8]), all_secrets())
        return warning(f"`{stage}`: {endpoint} serves {known or 'nothing'}, not {teacher.model}{note}", "mend `model`")
    return ok(f"`{stage}`: {endpoint} serves {teacher.model}{note}")


def _of_inspect(stage: str, teacher: TeacherSpec) -> Finding:
    from xreasoner.distill import teacher_of

    teacher_of(teacher)  # finds the provider's package and key
    return ok(f"`{stage}`: Inspect AI knows {teacher.model}; it is not asked")
