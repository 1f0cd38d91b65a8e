"""A server that speaks the chat part of the OpenAI protocol, and misbehaves as told."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[["Handler"], None]


@dataclass(frozen=True)
class Request:
    """`number` counts all requests from 0, `times` those of the same question and seed, this one included."""

    number: int
    times: int
    body: dict[str, Any]
    headers: Message  # names in any case
    at: float

    @property
    def question(self) -> str:
        return str(self.body["messages"][-1]["content"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EndpointServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.serve(self, body)

    def send(self, status: int, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        pass


class EndpointServer(ThreadingHTTPServer):
    """Answers `POST /v1/chat/completions` as `script` says; a context manager. `requests` holds all that came,
    `answered` how often each (question, seed) was answered in full, `most_at_once` how many were open together."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, script: Callable[[Request], Answer]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = script
        self.requests: list[Request] = []
        self.answered = Counter[tuple[str, int]]()
        self.open = self.most_at_once = 0
        self.ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def __enter__(self) -> EndpointServer:
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.ended.set()
        self.shutdown()
        self.server_close()

    def serve(self, handler: Handler, body: dict[str, Any]) -> None:
        if handler.path != "/v1/chat/completions":
            handler.send(404, b'{"error": {"message": "no such path"}}')
            return
        key = (str(body["messages"][-1]["content"]), int(body["seed"]))
        with self._lock:
            times = 1 + sum(r.question == key[0] and r.body["seed"] == key[1] for r in self.requests)
            request = Request(len(self.requests), times, body, handler.headers, time.monotonic())
            self.requests.append(request)
            self.open += 1
            self.most_at_once = max(self.most_at_once, self.open)
        try:
            answer = self.script(request)
            # Counted before it goes out: a client that has it may look at the count at once.
            if getattr(answer, "whole", False):
                with self._lock:
                    self.answered[key] += 1
            answer(handler)
        except OSError:
            pass  # the client has gone
        finally:
            with self._lock:
                self.open -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def completion(content: str | None, finish: str | None = "stop", usage: Any = None, **message: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}
    document = {"id": "c", "object": "chat.completion", "created": 0, "model": "teacher"}
    return {**document, "choices": [choice], "usage": usage}


def say(content: str | None, finish: str | None = "stop", usage: Any = None, wait: float = 0, **message: Any) -> Answer:
    """A good reply, after `wait` seconds."""

    def answer(handler: Handler) -> None:
        time.sleep(wait)
        handler.send(200, json.dumps(completion(content, finish, usage, **message)).encode())

    answer.whole = True  # type: ignore[attr-defined]
    return answer


def status(code: int, body: Any = None, **headers: str) -> Answer:
    """An error, with a JSON body or a text."""
    content = body if isinstance(body, bytes) else json.dumps(body or {"error": {"message": "told to"}}).encode()
    return lambda handler: handler.send(code, content, **headers)


def raw(content: bytes, kind: str = "application/json", **headers: str) -> Answer:
    """Any bytes, with status 200."""
    return lambda handler: handler.send(200, content, kind, **headers)


def stall(handler: Handler) -> None:
    """Takes the request and says nothing until the server ends."""
    handler.server.ended.wait(60)


def drip(handler: Handler) -> None:
    """A good reply, a byte every 20 milliseconds: no single read ever waits long."""
    content = json.dumps(completion("<think>a</think> <answer>5</answer>")).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    for byte in content:
        handler.wfile.write(bytes([byte]))
        if handler.server.ended.wait(0.02):
            return


def cut(handler: Handler) -> None:
    """Promises a whole reply, sends half of it and hangs up."""
    content = json.dumps(completion("<think>a</think> <answer>5</answer>")).encode()
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    handler.close_connection = True


def reset(handler: Handler) -> None:
    """Resets the connection."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
