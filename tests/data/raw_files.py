"""Files as the Hub delivers them, with rows of our own."""

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

SYSTEM = "Your role as an assistant involves thinking for very long, in two sections."


def parquet(path: Path, rows: list[dict[str, Any]], schema: pa.Schema | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path)
    return path


def lines(path: Path, *rows: Any) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def gsm8k(n: int, gold: str | None = None) -> dict[str, str]:
    return {
        "question": f"Ann has {n} pears and buys 2. How many are there?",
        "answer": f"{n} + 2 = <<{n}+2={n + 2}>>{n + 2}\n#### {gold or n + 2}",
    }


def thought(question: str, thoughts: str, solution: str, end: str = "<|end_of_thought|>") -> dict[str, Any]:
    """A row of OpenThoughts, config default."""
    reply = f"<|begin_of_thought|>\n\n{thoughts}\n\n{end}\n\n<|begin_of_solution|>\n\n{solution}\n\n<|end_of_solution|>"
    turns = [{"from": "user", "value": question}, {"from": "assistant", "value": reply}]
    return {"system": SYSTEM, "conversations": turns}


def metadata(problem: str, domain: str = "math", **other: Any) -> dict[str, Any]:
    """A row of OpenThoughts, config metadata."""
    row = {
        "problem": problem,
        "deepseek_reasoning": "Two and two make four.",
        "deepseek_solution": r"It is \boxed{4}.",
        "ground_truth_solution": r"Count. \boxed{4}",
        "domain": domain,
        "source": "ours",
        "test_cases": None,
        "starter_code": None,
    }
    return {**row, **other}


def medqa(n: int, choices: int = 4, gold: str = "B") -> dict[str, Any]:
    """A row of GBaker/MedQA-USMLE-4-options; with five options, of the original files."""
    options = {letter: f"drug {letter.lower()}" for letter in "ABCDE"[:choices]}
    return {
        "question": f"A man of {n} years has a cough. What helps?",
        "answer": options.get(gold, ""),
        "options": options,
        "meta_info": "step1",
        "answer_idx": gold,
        "metamap_phrases": ["man", "cough"],
    }


def medqa_source(n: int) -> dict[str, Any]:
    """A row of bigbio/med_qa, config med_qa_en_source."""
    options = [{"key": letter, "value": f"drug {letter.lower()}"} for letter in "ABCDE"]
    question = f"A woman of {n} years has a fever. What helps?"
    return {"meta_info": "step2&3", "question": question, "answer_idx": "E", "answer": "drug e", "options": options}


def mathematics(problem: str, solution: str, level: str = "Level 3") -> dict[str, str]:
    """A row of EleutherAI/hendrycks_math."""
    return {"problem": problem, "level": level, "type": "Algebra", "solution": solution}


def orz(problem: str, gold: Any, rate: float | None = None) -> list[dict[str, Any]]:
    """An item of orz_math_57k_collection.json: two objects that differ in their keys."""
    truth = {"value": gold, "pass_at_n": rate}
    return [{"from": "human", "value": problem}, {"from": "assistant", "value": None, "ground_truth": truth}]
