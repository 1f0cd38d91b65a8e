"""The sampler against transformers' own `generate`, on tiny random models with clear favourites."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from tiny_models import END, END2, GREEDY, IMG, WARM, WORDS, ending, ids_of, says, tower, vlm, with_pictures

from xreasoner.rollout.local import LocalSampler, cache_bytes_a_token, rows_that_fit
from xreasoner.types import Image, Prompt, SamplingParams


def texts(count: int = 12) -> list[Prompt]:
    rng = np.random.default_rng(1)
    return [says(" ".join(f"w{i}" for i in rng.integers(0, 53, rng.integers(1, 20))), seed=k) for k in range(count)]


def reference(model: Any, sampler: LocalSampler, prompts: list[Prompt], pixels: Any = None) -> list[list[int]]:
    """transformers' greedy generate, all prompts in one padded batch, cut behind the first end token."""
    ids = [list(sampler.prompt_ids(p)) for p in prompts]
    longest = max(map(len, ids))
    inputs = {
        "input_ids": torch.tensor([[2] * (longest - len(i)) + i for i in ids]),
        "attention_mask": torch.tensor([[0] * (longest - len(i)) + [1] * len(i) for i in ids]),
    }
    paths = [image.path for p in prompts for m in p.messages for image in m.images]
    if paths:
        features = pixels(images=[PIL.Image.open(path) for path in paths], return_tensors="pt")
        inputs |= {"pixel_values": features["pixel_values"], "image_grid_thw": features["image_grid_thw"]}
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == IMG).int()
    out = model.generate(**inputs, do_sample=False, max_new_tokens=24, pad_token_id=2)[:, longest:].tolist()
    ends = model.generation_config.eos_token_id
    return [row[: next((k + 1 for k, t in enumerate(row) if t in ends), len(row))] for row in out]


def test_greedy_text_equals_generate(tokenizer):
    model = ending(tower(), 1.0, END, END2)
    sampler = LocalSampler(model, tokenizer)
    expected = reference(model, sampler, texts())
    assert len({len(row) for row in expected}) >= 5, "rows should leave at different times"
    assert {row[-1] for row in expected} >= {END, END2}
    done = sampler.generate(texts(), GREEDY, n=2)
    assert ids_of(done) == [[row, row] for row in expected]
    assert {c.stop for group in done for c in group} == {"eos", "cap"}
    for group, row in zip(done, expected, strict=True):
        kept = row[:-1] if row[-1] in (END, END2) else row
        assert group[0].text == " ".join(WORDS[t] for t in kept)


@pytest.mark.parametrize("family", ["qwen2.5", "qwen2", "qwen3"])
def test_greedy_images_of_mixed_sizes_equal_generate(family, tokenizer, processor, pictures):
    model = ending(vlm(family), 1.0, END, END2)
    sampler = LocalSampler(model, tokenizer, processor)
    prompts = with_pictures(pictures)
    expected = reference(model, sampler, prompts, processor.image_processor)
    assert len({len(row) for row in expected}) >= 3, "rows should leave at different times"
    for batch_size in (256, 3):
        sampler.batch_size = batch_size
        assert [group[0] for group in ids_of(sampler.generate(prompts, GREEDY))] == expected
    # text alone through the whole VLM
    words = [p for p in prompts if not p.messages[0].images]
    assert [g[0] for g in ids_of(sampler.generate(words, GREEDY))] == reference(model, sampler, words)


def test_prompt_ids_spread_images_over_their_tokens(tokenizer, processor, pictures):
    sampler = LocalSampler(vlm("qwen2.5"), tokenizer, processor)
    ids = sampler.prompt_ids(says("w1 ", Image(pictures[1]), " w2", prefix="<think>"))
    assert [WORDS[i] for i in ids] == ["<user>", "w1", "<vis>", *["<img>"] * 6, "</vis>", "w2", "<bot>", "<think>"]


def test_forced_exit_in_the_running_decode(tokenizer):
    """Each row is what greedy decoding by hand gives, with the tag put in at its own time."""
    model = ending(tower(), 5.0, END)
    model.lm_head.bias.data[WORDS.index("</think>")] = 5.0
    prompts = [replace(p, prefix="<think>") for p in texts(16)]
    sampler = LocalSampler(model, tokenizer)
    done = [g[0] for g in sampler.generate(prompts, SamplingParams(think_budget=6, answer_budget=5))]
    assert {c.exit for c in done} == {"natural", "forced", "none"}
    tag = WORDS.index("</think>")
    for prompt, c in zip(prompts, done, strict=True):
        context = list(sampler.prompt_ids(prompt))
        for k, (token, own, logprob) in enumerate(zip(c.token_ids, c.sampled, c.logprobs, strict=True)):
            with torch.no_grad():
                logits = model(torch.tensor([context])).logits[0, -1]
            assert own == (not (c.exit == "forced" and k == 6))
            assert token == (logits.argmax() if own else tag)
            expected = logits.log_softmax(-1)[token] if own else 0.0
            assert logprob == pytest.approx(float(expected), abs=1e-4)
            context.append(token)


def test_logprobs_are_the_trainers_at_this_temperature(tokenizer):
    model = ending(tower(), 4.0, END)
    sampler = LocalSampler(model, tokenizer)
    params = replace(WARM, temperature=3.0, top_p=0.9)
    for prompt, [c] in zip(texts(4), sampler.generate(texts(4), params), strict=True):
        context = list(sampler.prompt_ids(prompt))
        with torch.no_grad():
            logits = model(torch.tensor([context + list(c.token_ids)])).logits[0, len(context) - 1 : -1]
        expected = (logits / 3.0).log_softmax(-1).gather(1, torch.tensor(c.token_ids)[:, None])[:, 0]
        assert torch.allclose(torch.tensor(c.logprobs), expected, atol=1e-4)


def test_a_completion_does_not_depend_on_its_batch(tokenizer):
    model = ending(tower(), 1.0, END)
    prompts = texts()
    whole = ids_of(LocalSampler(model, tokenizer).generate(prompts, WARM, n=4))
    assert len({tuple(c) for group in whole for c in group}) > 40
    assert ids_of(LocalSampler(model, tokenizer, batch_size=3).generate(prompts, WARM, n=4)) == whole
    sampler = LocalSampler(model, tokenizer, batch_size=10)
    assert ids_of(sampler.generate(prompts[::-1], WARM, n=4)) == whole[::-1]
    assert ids_of(sampler.generate(prompts[5:6], WARM, n=2)) == [whole[5][:2]]
    assert ids_of(sampler.generate([prompts[5]] * 2, WARM)) == [whole[5][:1]] * 2


def test_seeds_of_run_and_prompt_both_count(tokenizer):
    sampler = LocalSampler(ending(tower(), -50.0, END), tokenizer)
    [[a]] = ids_of(sampler.generate([says("w1")], WARM))
    [[b]] = ids_of(sampler.generate([says("w1")], replace(WARM, seed=4)))
    [[c]] = ids_of(sampler.generate([says("w1", seed=1)], WARM))
    assert a != b
    assert a != c


def test_each_prompt_is_prefilled_once_and_finished_rows_leave(tokenizer):
    model = ending(tower(), 8.0, END)
    shapes = []
    hook = model.register_forward_pre_hook(
        lambda _, __, k: shapes.append(tuple(k["input_ids"].shape)), with_kwargs=True
    )
    sampler = LocalSampler(model, tokenizer, batch_size=32)
    sampler.generate(texts(8), WARM, n=8)
    hook.remove()
    starts = [k for k, (_, length) in enumerate(shapes) if length > 1]
    assert [shapes[k][0] for k in starts] == [4, 4]
    for start, end in zip(starts, [*starts[1:], len(shapes)], strict=True):
        rows = [batch for batch, _ in shapes[start + 1 : end]]
        assert rows[0] <= 32
        assert rows == sorted(rows, reverse=True)
        assert rows[-1] < 16


def test_nothing_stays_on_the_model(tokenizer, processor, pictures):
    model = ending(vlm("qwen2.5"), 6.0, END)
    model.train()
    model.model.visual.eval()
    modes = [m.training for m in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    sampler = LocalSampler(model, tokenizer, processor)
    sampler.generate(with_pictures(pictures), GREEDY)
    assert [m.training for m in model.modules()] == modes
    assert model.model.rope_deltas is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    # a step of training right after
    model(input_ids=torch.tensor([[9, 11, 12]]), labels=torch.tensor([[9, 11, 12]])).loss.backward()
    # the mode comes back after an error too
    broken = says("w1")
    model.lm_head.register_forward_pre_hook(lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    with pytest.raises(RuntimeError, match="out of memory"):
        sampler.generate([broken], GREEDY)
    assert [m.training for m in model.modules()] == modes


def test_a_model_updated_in_between_is_sampled_as_it_is(tokenizer):
    model = ending(tower(), 0.0, END)
    sampler = LocalSampler(model, tokenizer)
    model.lm_head.bias.data[20] = 1e4
    assert set(sampler.generate([says("w1")], GREEDY)[0][0].token_ids) == {20}


def test_an_image_token_from_the_model_is_only_a_token(tokenizer, processor):
    model = ending(vlm("qwen2.5"), 0.0, END)
    model.lm_head.bias.data[IMG] = 1e4
    [[done]] = LocalSampler(model, tokenizer, processor).generate([says("w1")], GREEDY)
    assert done.token_ids == (IMG,) * 24


def test_logits_that_are_no_numbers_end_in_completions(tokenizer):
    model = ending(tower(), float("nan"), END)
    sampler = LocalSampler(model, tokenizer)
    for params in (GREEDY, WARM, replace(WARM, top_p=0.5)):
        assert len(sampler.generate([says("w1")], params)[0][0].token_ids) >= 1


def test_nothing_asked(tokenizer):
    assert LocalSampler(tower(), tokenizer).generate([], GREEDY) == []


def test_rows_that_fit_by_hand():
    assert rows_that_fit(1000, 10, 10) == 10
    assert rows_that_fit(1099, 10, 10) == 10
    assert rows_that_fit(99, 10, 10) == 1  # nothing smaller can be tried
    assert rows_that_fit(-5, 10, 10) == 1
    assert rows_that_fit(60 * 2**30, 28 * 2 * 4 * 128 * 2, 5500) == 204  # a tower of 7B on 80 GB


@pytest.mark.parametrize("make", [tower, lambda: vlm("qwen2.5"), lambda: vlm("qwen3")])
def test_the_bytes_of_a_token_are_those_of_the_cache(make):
    model = make()
    with torch.no_grad():
        cache = model(input_ids=torch.tensor([[1, 3, 9, 4]] * 3), use_cache=True).past_key_values
    held = sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))
    assert cache_bytes_a_token(model) == held / (3 * 4)


def test_a_gpu_s_free_memory_bounds_the_batch(tokenizer, monkeypatch):
    model = ending(tower(), 1.0, END)
    sampler = LocalSampler(model, tokenizer)
    encoded = [sampler._encode(p) for p in texts()]
    assert sampler._fitting(encoded, WARM) == 256  # on a CPU
    tokens = max(len(e.ids) for e in encoded) + (WARM.think_budget or 0) + 1 + WARM.answer_budget
    row = cache_bytes_a_token(model) * tokens
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (6 * row, 99 * row))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 5 * row)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 3 * row)
    there = SimpleNamespace(device=torch.device("cuda"), config=model.config, dtype=model.dtype)
    monkeypatch.setattr(sampler, "model", there)
    assert sampler._fitting(encoded, WARM) == 6  # 3/4 of 6 + 2 free rows
    assert sampler._fitting(encoded, replace(WARM, answer_budget=10**6)) == 1


def test_a_bounded_batch_changes_no_completion(tokenizer, monkeypatch):
    sampler = LocalSampler(ending(tower(), 1.0, END), tokenizer)
    whole = ids_of(sampler.generate(texts(), WARM, n=4))
    sizes = []
    decode = sampler._decode
    monkeypatch.setattr(
        sampler, "_decode", lambda requests, params: sizes.append(len(requests)) or decode(requests, params)
    )
    for most, size in ((9, 8), (3, 3)):  # whole groups where they fit
        monkeypatch.setattr(sampler, "_fitting", lambda *_, most=most: most)
        sizes.clear()
        assert ids_of(sampler.generate(texts(), WARM, n=4)) == whole
        assert max(sizes) == size
