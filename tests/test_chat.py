"""The talk: history, commands, Ctrl-C, pipes; then whole talks with tiny models from folders."""

import io
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from rich.console import Console

from xreasoner.chat.talk import Talk, chat
from xreasoner.errors import DataError, ModelError, UserError
from xreasoner.types import Completion, Image, Message, SamplingParams

PARAMS = SamplingParams(think_budget=9, answer_budget=9, seed=5)


class Script:
    """Says `<think>hm</think>` and the number of messages it was given; obeys the words of the last one."""

    def __init__(self, sees: bool = True) -> None:
        self.sees = sees
        self.heard: list[tuple[list[Message], int]] = []

    def answer(self, messages: Sequence[Message], params: SamplingParams, on_text: Callable[[str], None]) -> Completion:
        self.heard.append((list(messages), params.seed))
        text = f"<think>hm</think>{len(messages)}"
        on_text(text[:5])
        content = messages[-1].content
        said = content if isinstance(content, str) else content[-1]
        if said == "stop":
            signal.raise_signal(signal.SIGINT)
        if said == "fail":
            raise DataError("That was too much: say less.")
        if said == "hostile":
            raise DataError("The template says \x1b[2J\x9b\u202e[31m.")
        on_text(text[5:])
        return Completion((1, 2), (True, True), None, text, "natural", "eos")


def typed(*lines: str | type[BaseException]) -> Callable[[str], str]:
    """`input` for someone who types these lines, or the keys that raise, and then Ctrl-D."""
    left = iter(lines)

    def read(prompt: str) -> str:
        line = next(left, EOFError)
        if isinstance(line, str):
            return line
        raise line

    return read


@pytest.fixture(autouse=True)
def ctrl_c() -> Iterator[None]:
    """Python's own handler, which a command started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "a picture.png"
    PIL.Image.new("RGB", (28, 28)).save(path)
    return path


def hold(*lines: str | type[BaseException], sees: bool = True, interactive: bool = True) -> tuple[Talk, Script, str]:
    script, file = Script(sees), io.StringIO()
    talk = Talk(script, PARAMS, Console(file=file, width=100))
    talk.run(typed(*lines), interactive)
    return talk, script, file.getvalue()


def test_turns_are_remembered_and_each_has_its_luck() -> None:
    talk, script, text = hold("one", "", "  ", "two")
    assert [m.content for m in talk.history] == ["one", "<think>hm</think>1", "two", "<think>hm</think>3"]
    assert [m.role for m in talk.history] == ["user", "assistant"] * 2
    assert [seed for _, seed in script.heard] == [5, 6]
    assert "thoughts:\nhm\nanswer:\n1\n" in text
    assert "exit: natural" in text


def test_ctrl_c_stops_the_answer_and_the_talk_goes_on(picture: Path) -> None:
    talk, script, text = hold("one", "stop", "fail", "two")
    assert [m.content for m in talk.history] == ["one", "<think>hm</think>1", "two", "<think>hm</think>3"]
    assert script.heard[-1][0] == talk.history[:3]
    assert "stopped; this turn is forgotten" in text
    assert "error: That was too much: say less." in text


def test_at_the_prompt_a_second_ctrl_c_in_a_row_ends_the_talk() -> None:
    _, script, text = hold(KeyboardInterrupt, "one", KeyboardInterrupt, KeyboardInterrupt, "never")
    assert len(script.heard) == 1
    assert text.count("Ctrl-C again") == 2


def test_new_forgets(picture: Path) -> None:
    talk, script, _ = hold("one", f"/image {picture}", "/new", "two")
    assert script.heard[-1] == ([Message("user", "two")], PARAMS.seed)  # and its luck is that of a new talk
    assert len(talk.history) == 2


def test_a_picture_goes_with_one_message_and_waits_for_a_turn_that_is_kept(picture: Path) -> None:
    seen = Image(str(picture))
    _, script, _ = hold("one", f"/image '{picture}'", "fail", "two", "three")
    contents = [messages[-1].content for messages, _ in script.heard]
    assert contents[0] == "one"
    assert contents[2:] == [(seen, "two"), "three"]
    _, script, text = hold("/image nowhere.png", "/image", f"/image {picture}", sees=False)
    assert script.heard == []
    assert text.count("text-only") == 3
    _, _, text = hold("/image nowhere.png", "/image")
    assert "nowhere.png cannot be read (No such file or directory)" in text


def test_lines_that_go_on(picture: Path) -> None:
    _, script, _ = hold("g= 2 \\", "e= +3 g \\", "ask e", "g= 2 \\\nask g", "two\nlines")
    contents = [messages[-1].content for messages, _ in script.heard]
    assert contents == ["g= 2 \ne= +3 g \nask e", "g= 2 \nask g", "two\nlines"]


def test_commands_are_few_and_other_slashes_are_text() -> None:
    _, script, text = hold("/help", "/quit now", "/home/me is a folder", "3/4?")
    assert [messages[-1].content for messages, _ in script.heard] == ["/home/me is a folder", "3/4?"]
    assert "There is no /quit" in text
    assert "/image FILE" in text


def test_what_is_typed_has_no_control_characters() -> None:
    _, script, _ = hold("a\x1b[31m\udcffb")
    assert script.heard[0][0][0].content == "a[31mb"


def test_an_error_that_quotes_a_chat_template_is_not_obeyed() -> None:
    _, _, text = hold("hostile")
    assert "error: The template says [2J[31m." in text
    assert "\x1b" not in text


def test_a_pipe_has_no_prompts_and_its_mistakes_end_it() -> None:
    _, _, text = hold("one", interactive=False)
    assert text.startswith("thoughts:\nhm\nanswer:\n1\n(2 tokens")
    with pytest.raises(DataError, match="say less"):
        hold("fail", "one", interactive=False)
    with pytest.raises(KeyboardInterrupt):
        hold("stop", interactive=False)


def piped(monkeypatch: Any, capsys: Any, model: Path, lines: str, image: Path | None = None, **more: Any) -> str:
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    settings: dict[str, Any] = {"think_budget": 5, "answer_budget": 4, "seed": 0, "temperature": 1.0} | more
    chat(str(model), image, **settings)
    return str(capsys.readouterr().out)


@pytest.fixture(scope="session")
def micro_vlm(tmp_path_factory: Any) -> Path:
    """A random micro VLM, as its training script saves one."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from xreasoner.micro.tokenizer import WORD_ID, save_tokenizer

    torch.manual_seed(0)
    folder: Path = tmp_path_factory.mktemp("micro")
    end = WORD_ID["<|im_end|>"]
    text = {
        "vocab_size": len(WORD_ID), "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 96, "eos_token_id": end,
        "bos_token_id": None, "rope_parameters": {"rope_type": "default", "mrope_section": [2, 1, 1]},
    }  # fmt: skip
    vision = {"depth": 1, "num_heads": 2, "hidden_size": 16, "intermediate_size": 32, "out_hidden_size": 32}
    ids = {
        "image_token_id": WORD_ID["<|image_pad|>"],
        "video_token_id": WORD_ID["<|video_pad|>"],
        "vision_start_token_id": WORD_ID["<|vision_start|>"],
        "vision_end_token_id": WORD_ID["<|vision_end|>"],
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision | {"fullatt_block_indexes": [0]}, **ids)
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    save_tokenizer(folder)
    return folder


def test_a_whole_talk_with_a_vlm(micro_vlm: Path, monkeypatch: Any, capsys: Any, picture: Path) -> None:
    lines = f"ask e\n/image {picture}\nread a\n"
    text = piped(monkeypatch, capsys, micro_vlm, lines, image=picture)
    assert text.count("(") == text.count("exit: ") == 2
    assert (
        piped(monkeypatch, capsys, micro_vlm, lines, image=picture).split(" tokens in ")[0]
        == (text.split(" tokens in ")[0])
    )
    assert piped(monkeypatch, capsys, micro_vlm, "ask e\n", seed=1) != piped(monkeypatch, capsys, micro_vlm, "ask e\n")
    with pytest.raises(DataError, match="lower the budgets"):
        piped(monkeypatch, capsys, micro_vlm, "ask e\n", think_budget=500)
    # budgets of a short context leave room to ask
    assert "exit: " in piped(monkeypatch, capsys, micro_vlm, "ask e\n", think_budget=None, answer_budget=None)


def test_a_whole_talk_with_a_text_only_model(
    micro_vlm: Path, monkeypatch: Any, capsys: Any, picture: Path, tmp_path: Path
) -> None:
    from xreasoner.model.tower import detach

    tower = tmp_path / "tower"
    detach(micro_vlm, tower)
    assert "exit: " in piped(monkeypatch, capsys, tower, "ask e\n")
    with pytest.raises(DataError, match="text-only"):
        piped(monkeypatch, capsys, tower, "ask e\n", image=picture)
    (tower / "chat_template.jinja").unlink()
    with pytest.raises(ModelError, match="no chat template"):
        piped(monkeypatch, capsys, tower, "ask e\n")


def test_what_is_no_model(monkeypatch: Any, capsys: Any, tmp_path: Path) -> None:
    for folder in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(UserError):
            piped(monkeypatch, capsys, folder, "ask e\n")
