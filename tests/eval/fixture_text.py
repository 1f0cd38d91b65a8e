"""Fixtures of the benchmarks in text.py."""

from fixture_rows import Fixture

TEN = [f"herb {n}" for n in range(1, 11)]


def pro(number, question, options, answer, index, category="law"):
    """A row as MMLU-Pro has them."""
    return {
        "question_id": number,
        "question": question,
        "options": options,
        "answer": answer,
        "answer_index": index,
        "cot_content": "",
        "category": category,
        "src": "made",
    }


def gpqa(record, question, right, *wrong):
    """A row as GPQA has them."""
    answers = {f"Incorrect Answer {n}": text for n, text in enumerate(wrong, 1)}
    return {
        "Record ID": record,
        "Question": question,
        "Correct Answer": right,
        **answers,
        "High-level domain": "Chemistry",
        "Subdomain": "Organic Chemistry",
    }


def sup(uuid, question, options, letter, answer):
    """A row as SuperGPQA has them."""
    return {
        "uuid": uuid,
        "question": question,
        "options": options,
        "answer": answer,
        "answer_letter": letter,
        "discipline": "Agronomy",
        "field": "Crop Science",
        "subfield": "Crops",
        "difficulty": "middle",
        "is_calculation": False,
    }


TEXT = {
    "gsm8k": Fixture(
        rows=[
            {"question": "Ann has 2 pens and buys 3. How many?", "answer": "It is <<2+3=5>>5.\n#### 5"},
            {"question": "A town of 1,000 grows by 1,125. How many?", "answer": "So <<1000+1125=2125>>.\n#### 2,125"},
            {"question": "It was 7 and fell by 10 degrees. What is it?", "answer": "7 - 10.\n#### -3"},
            {"question": "No gold?", "answer": "There is none."},
        ],
        asked=("gsm8k-1", "gsm8k-2", "gsm8k-3"),
        left_out=1,
    ),
    "math500": Fixture(
        rows=[
            {"problem": "Half of one?", "solution": r"It is $\boxed{\frac12}$.", "answer": r"\frac{1}{2}"},
            {"problem": "Who wins?", "solution": r"$\boxed{\text{Evelyn}}$", "answer": r"\text{Evelyn}"},
            {"problem": "Ten thousand and eighty?", "solution": r"\boxed{10,\!080}", "answer": r"10,\!080"},
        ],
        asked=("math500-1", "math500-2", "math500-3"),
    ),
    "mmlu-pro": Fixture(
        path="data/test-00000-of-00001.parquet",
        rows=[
            pro(70, "Which herb is the tenth?", TEN, "J", 9),
            pro(71, "Which of three?", [" one", "two ", " three "], "C", 2),
            pro(72, "Padded at the end?", ["up", "down", "left", "N/A", "N/A"], "B", 1),
            pro(73, "Padded before the gold?", ["salt", "N/A", "N/A", "sugar", "lime"], "D", 3, "chemistry"),
            pro(74, "What helps against scurvy?", ["Vitamin A", "Vitamin C", "Iron", "Zinc"], "B", 1, "health"),
            pro(75, "Which herb is the tenth?", TEN[::-1], "A", 0),  # the stem of another question
            pro(76, "Twice the same?", ["Heart", "Lung", "heart.", "Skin"], "C", 2),
            pro(77, "Which number is even?", ["I", "4", "A", "B"], "B", 1),
            pro(78, "The gold is padding?", ["a thing", "N/A"], "B", 1),
            pro(79, "Letter and index at odds?", ["this", "that"], "A", 1),
            pro(80, "A letter of none?", ["this", "that"], "C", None),
            pro(81, "No gold?", ["this", "that"], None, None),
            pro(82, "A blank option?", ["this", " "], "A", 0),
            pro(83, "No options?", [], "A", 0),
            pro(84, " ", ["this", "that"], "A", 0),
            pro(70, "An id of an earlier row?", ["this", "that"], "A", 0),
            pro(85, "Only one is left?", ["this", "N/A"], "A", 0),
        ],
        asked=tuple(f"mmlu-pro-{n}" for n in range(70, 78)),
        left_out=9,
    ),
    "aime24": Fixture(
        rows=[
            {"id": 60, "problem": "Find $73$ in three digits.", "answer": "073", "url": "x", "year": "2024"},
            {"ID": "2024-I-2", "Problem": "Find $5 \\cdot 41$.", "Solution": "It is $\\boxed{205}$.", "Answer": 205},
            {"problem": "Find nothing.", "answer": "000"},
            {"problem": "Find a thousand.", "answer": "1000"},
            {"problem": "Find a half.", "answer": "0.5"},
            {"problem": "Find no gold.", "answer": None},
            {"problem": "Find minus one.", "answer": "-1"},
            {"problem": "", "answer": "7"},
        ],
        asked=("aime24-1", "aime24-2", "aime24-3"),
        left_out=5,
    ),
    "aime25": Fixture(
        rows=[
            {"problem": "Sum of $30$ and $40$?", "answer": "70", "id": "0"},
            {"question": "What angle, in degrees, is $2 \\cdot 168$?", "answer": "336^\\circ"},
            {"problem": "A float of a table?", "answer": 81.0},
            {"problem": "Words?", "answer": "seventy"},
        ],
        asked=("aime25-1", "aime25-2", "aime25-3"),
        left_out=1,
    ),
    "gpqa-diamond": Fixture(
        path="test.json",
        rows=[
            gpqa("rec1", "Which gas is inert?", " Neon\n", "Oxygen ", "Fluorine", "Chlorine"),
            gpqa("rec2", "How many turns?", "2", "3", "2", "4"),  # the gold stands twice
            gpqa("rec3", "Which is basic?", "ammonia", "water", "acetic acid", "WATER"),
            gpqa("rec4", "Which pattern in [\\w+] is bracketed?", "[a-z]+", "[0-9]", "[A]", "[B]"),
            gpqa(None, "A row without an id?", "yes", "no", "perhaps", "never"),
            gpqa("rec6", "One is missing?", "yes", "no", "perhaps", ""),
            gpqa("rec7", "No gold?", None, "no", "perhaps", "never"),
            ["no object"],
        ],
        asked=(*(f"gpqa-diamond-rec{n}" for n in range(1, 5)), "gpqa-diamond-5"),
        left_out=3,
    ),
    "supergpqa": Fixture(
        path="SuperGPQA-all.jsonl",
        rows=[
            sup("u1", "Which herb of ten?", TEN, "I", "herb 9"),
            sup("u2", "Which crop?", "['rye', \"farmer's oats\", 'maize']", "B", "farmer's oats"),
            sup("u3", "Which soil?", '["clay", "null", "sand"]', "C", "sand"),
            sup("u4", "A list in a list?", [["wet", "dry"]], "B", "dry"),
            sup("u5", "Its text was edited?", ["wet", "dry"], "A", "moist"),
            sup("u6", "The gold as its text?", ["wet", "dry"], "dry", "dry"),
            sup("u7", "At odds?", ["wet", "dry"], "A", "dry"),
            sup("u8", "Broken options?", "['wet', 'dry", "A", "wet"),
            sup("u9", "Options that would run?", "__import__('os').getcwd()", "A", "wet"),
            sup("u10", "Too many options?", [f"plot {n}" for n in range(27)], "A", "plot 0"),
        ],
        asked=tuple(f"supergpqa-u{n}" for n in range(1, 7)),
        left_out=4,
    ),
}
