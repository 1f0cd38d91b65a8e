"""Fixtures of the benchmarks in text.py."""

from fixture_rows import Fixture

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
}
