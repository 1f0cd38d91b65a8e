"""A server that speaks OpenAI's protocol from a real tiny model, with the abilities that a test gives it."""

from __future__ import annotations

import base64
import dataclasses
import itertools
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import torch

from xreasoner.model.tiny import build_model, train_tokenizer
from xreasoner.prompts import THINK_CLOSE, THINK_OPEN
from xreasoner.rollout.local import LocalSampler
from xreasoner.types import Image, Message, Prompt, SamplingParams

RAW = "{{ messages[0].content }}"
EXTRAS = {"repetition_penalty", "top_k", "min_p", "skip_special_tokens", "spaces_between_special_tokens"}


def tiny(vocabulary: int = 263, close: float = 0.0, end: float = 0.0, seed: int = 0) -> tuple[Any, Any]:
    """(model, tokenizer): a random VLM that writes printable ASCII alone, `close` and `end` making `</think>` (a token
    of its own) and the end token likelier. A vocabulary of 263 has bytes alone: any text has one spelling in ids."""
    tokenizer = train_tokenizer(["the cat sat on the mat and thought of nothing at all"] * 9, vocabulary)
    tokenizer.add_tokens([THINK_CLOSE])
    model = build_model(tokenizer, 64, 2, seed).eval()
    bias = torch.full((len(tokenizer),), -1e4)
    for word, i in tokenizer.get_vocab().items():
        text = tokenizer.decode([i])
        if text.isascii() and text.isprintable() and word not in tokenizer.all_special_tokens:
            bias[i] = 0.0
    bias[tokenizer.convert_tokens_to_ids(THINK_CLOSE)] = close
    bias[tokenizer.eos_token_id] = end
    for special in ("<|im_start|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"):
        bias[tokenizer.convert_tokens_to_ids(special)] = -1e4
    model.lm_head.bias = torch.nn.Parameter(bias)
    return model, tokenizer


@dataclasses.dataclass
class Abilities:
    completions: bool = True
    ids: bool = True  # takes and gives them
    chat: bool = True
    continues: bool = True  # else continue_final_message is ignored
    knows_extras: bool = True  # else they are refused
    swallows: bool = False  # the template drops thoughts of the assistant's turns
    parser: bool = False  # thoughts come apart
    bos: int = 0  # tokens that it puts in front of text prompts
    change: Callable[[str, dict[str, Any], dict[str, Any]], Any] | None = None  # (path, body, reply) -> reply


class ModelServer(ThreadingHTTPServer):
    """A context manager; `asked` holds (path, body) of all requests."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, model: Any, tokenizer: Any, processor: Any, abilities: Abilities, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.abilities, self.folder = abilities, folder
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.tokenizer = tokenizer
        self.chat = LocalSampler(model, tokenizer, processor)
        self.raw = LocalSampler(model, tokenizer)
        encode = self.raw._encode
        as_said = lambda prompt: dataclasses.replace(encode(prompt), ids=tuple(json.loads(prompt.messages[0].content)))  # noqa: E731
        self.raw._encode = as_said  # type: ignore[assignment]
        self.lock, self.counting, self.pictures = threading.Lock(), threading.Lock(), itertools.count()
        self.open = self.most_at_once = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> ModelServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.shutdown()
        self.server_close()

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        able = self.abilities
        if not able.knows_extras and EXTRAS & set(body):
            return 400, {"error": {"message": "unknown parameter"}}
        if path == "/v1/completions" and able.completions:
            prompt = body["prompt"]
            if isinstance(prompt, list) and not able.ids:
                return 400, {"error": {"message": "prompt must be a string"}}
            ids = prompt if isinstance(prompt, list) else [0] * able.bos + self.tokenizer.encode(prompt)
            sampler, asked, said_by_chat = self.raw, Prompt((Message("user", json.dumps(ids)),)), False
        elif path == "/v1/chat/completions" and able.chat:
            sampler, asked, said_by_chat = self.chat, self.conversation(body), True
        else:
            return 404, {"detail": "Not Found"}
        params = SamplingParams(None, body["max_tokens"], body["temperature"], body["top_p"], body["seed"])
        with self.lock:
            [[done]] = sampler.generate([asked], params)
            length = len(sampler.prompt_ids(asked))
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if done.stop == "eos" else "length"}
        if said_by_chat:
            choice["message"] = self.message(done.text, asked.prefix)
        else:
            choice["text"] = done.text
        if body.get("return_token_ids") and able.ids:
            choice["token_ids"] = list(done.token_ids)
        return 200, {
            "object": "x",
            "model": body["model"],
            "choices": [choice],
            "usage": {"prompt_tokens": length, "completion_tokens": len(done.token_ids)},
        }

    def message(self, text: str, prefix: str) -> dict[str, Any]:
        if not self.abilities.parser:
            return {"role": "assistant", "content": text}
        if THINK_CLOSE in text:
            thoughts, _, said = text.partition(THINK_CLOSE)
            return {"role": "assistant", "content": said, "reasoning_content": thoughts}
        return {"role": "assistant", "content": None, "reasoning_content": text}

    def conversation(self, body: dict[str, Any]) -> Prompt:
        messages = [Message(m["role"], self.content(m["content"])) for m in body["messages"]]
        prefix = ""
        if messages[-1].role == "assistant":
            last = str(messages.pop().content)
            if self.abilities.swallows:
                last = last.split(THINK_CLOSE)[-1].replace(THINK_OPEN, "")
            if self.abilities.continues and body["continue_final_message"] and not body["add_generation_prompt"]:
                prefix = last
            else:
                messages.append(Message("assistant", last))
        return Prompt(tuple(messages), prefix=prefix)

    def content(self, content: Any) -> Any:
        if isinstance(content, str):
            return content
        parts: list[str | Image] = []
        for part in content:
            if part["type"] == "text":
                parts.append(part["text"])
                continue
            head, _, data = part["image_url"]["url"].partition(",")
            assert head in ("data:image/png;base64", "data:image/jpeg;base64")
            path = self.folder / f"{next(self.pictures)}.{head[11:-7]}"
            path.write_bytes(base64.b64decode(data, validate=True))
            parts.append(Image(str(path)))
        return tuple(parts)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.counting:
            self.server.asked.append((self.path, body))
            self.server.open += 1
            self.server.most_at_once = max(self.server.most_at_once, self.server.open)
        status, reply = self.server.answer(self.path, body)
        with self.server.counting:
            self.server.open -= 1
        if status == 200 and self.server.abilities.change:
            reply = self.server.abilities.change(self.path, body, reply)
        if isinstance(reply, tuple):
            status, reply = reply
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass
