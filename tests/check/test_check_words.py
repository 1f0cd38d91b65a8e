"""The tokenizer, the chat template and the tags: what is broken is found, and the micro base and a BPE are sound."""

import json

import pytest
from tokenizers import normalizers
from transformers import PreTrainedTokenizerFast

from xreasoner.check.words import HARD, spellings
from xreasoner.model.tiny import CHAT_TEMPLATE, train_tokenizer
from xreasoner.rollout.forced_exit import ForcedExit


@pytest.fixture(scope="module")
def bpe():
    return train_tokenizer(["What is 2 + 3? Add them: 5."] * 9, 400)


@pytest.fixture
def wears(base, bpe):
    """wears(tokenizer) gives the base another tokenizer."""

    def wear(tokenizer=bpe):
        tokenizer.save_pretrained(base)
        config = json.loads((base / "config.json").read_text())
        config["text_config"]["vocab_size"] = len(tokenizer)
        (base / "config.json").write_text(json.dumps(config))
        return f"model.base={base}"

    return wear


def rebuilt(bpe, edit):
    """A copy of the tokenizer with another backend."""
    copy = PreTrainedTokenizerFast(
        tokenizer_object=type(bpe.backend_tokenizer).from_str(bpe.backend_tokenizer.to_str()),
        eos_token=bpe.eos_token,
        pad_token=bpe.pad_token,
        chat_template=CHAT_TEMPLATE,
    )
    edit(copy.backend_tokenizer)
    return copy


def test_words_of_the_micro_base(found):
    told = found("tokenizer", "template", "tags")
    assert [state for _, state, _ in told] == ["ok"] * 6
    assert told[0][2].startswith("all ")
    assert told[0][2].endswith(f" texts of this recipe's rows come back whole; others would lose {', '.join(HARD)} ")
    assert "turns stop at <|im_end|> (2)" in told[1][2]
    assert told[3][2] == "</think> is [9], one token; after a space [9], before a line break [9, 12] "
    assert told[5][2] == "forced exit sees </think> in all of its 5 spellings "


def test_a_tokenizer_that_loses_nothing(found, wears):
    told = found("tokenizer", "template", "tags", wears())
    assert {state for _, state, _ in told} == {"ok"}
    assert "LaTeX, unicode and" in told[0][2]
    assert "</think> is [" in told[3][2]
    assert "in all of its 6 spellings" in told[5][2]


def test_a_tokenizer_that_loses_spaces(found, wears, bpe):
    def lose(backend):
        backend.normalizer = normalizers.Replace(" ", "")

    told = found("tokenizer", wears(rebuilt(bpe, lose)))
    assert [state for _, state, _ in told] == ["failed", "failed"]
    assert "texts of this recipe's rows come back changed: ' " in told[0][2]
    assert told[1][2].startswith("it loses runs of spaces, indents, digits, LaTeX, unicode ")


def test_a_template_that_drops_the_end(found, base):
    template = base / "chat_template.jinja"
    text = template.read_text()
    assert "{{ '<|im_end|> ' }}" in text
    template.write_text(text.replace("{{ '<|im_end|> ' }}", ""))
    told = found("template", f"model.base={base}")
    assert [state for _, state, _ in told] == ["failed"]
    assert "no end token follows the assistant's turn" in told[0][2]


def test_a_template_that_ends_turns_with_what_stops_nothing(found, base):
    template = base / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "<|video_pad|>"))
    assert [state for _, state, _ in found("template", f"model.base={base}")] == ["failed"]


def test_a_template_that_leaves_out_the_question(found, base):
    (base / "chat_template.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }} <|im_end|>{% endif %}{% endfor %}"
    )
    told = found("template", f"model.base={base}")
    assert [(state, text) for _, state, text in told] == [
        ("failed", "it leaves out what the user says restore the model's own chat template")
    ]


def test_a_template_that_takes_thoughts_out_of_past_turns_is_only_told(found, base):
    template = base / "chat_template.jinja"
    cut = "{% set content = message.content.split('</think>')[-1] %}{{ content + ' ' }}"
    template.write_text(template.read_text().replace("{{ message.content + ' ' }}", cut))
    assert [state for _, state, _ in found("template", f"model.base={base}")] == ["ok"]


def test_two_ends_are_a_warning(found, base):
    fields = json.loads((base / "generation_config.json").read_text())
    (base / "generation_config.json").write_text(json.dumps(fields | {"eos_token_id": [2, 5]}))
    template = base / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_end|>", "<|vision_end|>"))
    told = found("template", f"model.base={base}")
    assert [state for _, state, _ in told] == ["warning", "ok"]
    assert "turns end with <|vision_end|> (5) in the template, with <|im_end|> (2) in training" in told[0][2]


def test_a_template_that_raises_is_a_failure_and_no_traceback(found, base):
    (base / "chat_template.jinja").write_text("{{ raise_exception('no\x1b[2J such role') }}")
    [(_, state, text)] = found("template", f"model.base={base}")
    assert state == "failed"
    assert text.startswith("this check broke off: ")
    assert "\x1b" not in text


def test_a_special_tag_is_told(found, base):
    fields = json.loads((base / "tokenizer.json").read_text())
    for token in fields["added_tokens"]:
        token["special"] |= token["content"] == "</think>"
    (base / "tokenizer.json").write_text(json.dumps(fields))
    told = found("tags", f"model.base={base}")
    assert [("special" in text, state) for _, state, text in told] == [
        (False, "ok"), (True, "ok"), (False, "ok"), (False, "ok")
    ]  # fmt: skip


def test_every_spelling_is_tried_as_ids(bpe):
    found = spellings(bpe)
    assert len(found) == len({tuple(ids) for ids in found.values()}) == 6
    rule = ForcedExit(bpe, {2})
    assert all("</think>" in rule.decode(ids) for ids in found.values())


def test_a_tag_that_forced_exit_misses(found, base, monkeypatch):
    monkeypatch.setattr(ForcedExit, "closes", lambda self, ids: ids[-1:] == [9] and len(ids) > 2)
    told = found("tags", f"model.base={base}")[-1]
    assert told[1] == "failed"
    assert "forced exit does not see </think> written as '</think>', " in told[2]


def test_a_tokenizer_that_cannot_spell_the_tag(found, wears, bpe):
    def drop(backend):
        backend.normalizer = normalizers.Replace("k", "")

    [*_, (_, state, text)] = found("tags", wears(rebuilt(bpe, drop)))
    assert (state, "cannot spell </think>" in text) == ("failed", True)
