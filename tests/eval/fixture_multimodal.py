"""Fixtures of the benchmarks in multimodal.py and multimodal_math.py. Every picture has a colour of its own."""

import io
from itertools import count

import pyarrow as pa
import pyarrow.parquet as pq
from fixture_rows import Fixture, cell

_COLOURS = ((n % 251, n // 251, 90) for n in count())
LETTERS = "ABCDEFGHIJKL"
MARK_IN_SOLUTION = "As <image 2> shows, it is green."


def many(n, word="item"):
    return str([f"{word} {i}" for i in range(n)])


def pictured(numbers):
    """The fields image_1 to image_7, of which `numbers` hold a picture."""
    return {f"image_{i}": cell(next(_COLOURS)) if i in numbers else None for i in range(1, 8)}


def mmmu(name, question, options, answer, images=(1,), kind="multiple-choice", explanation=""):
    """A row of MMMU."""
    row = {"id": name, "question": question, "options": options, "explanation": explanation, **pictured(images)}
    row |= {"img_type": "['Diagrams']", "answer": answer, "topic_difficulty": "Easy", "question_type": kind}
    return {**row, "subfield": "Any"}


def pro(name, question, options, answer, images=(1,), subject="Biology"):
    """A row of MMMU-Pro's standard configs."""
    row = {"id": name, "question": question, "options": options, "explanation": "?", **pictured(images)}
    return {**row, "img_type": "['Diagrams']", "answer": answer, "topic_difficulty": "Hard", "subject": subject}


def star(index, question, answer, category="math"):
    row = {"index": index, "question": question, "image": cell(next(_COLOURS))["bytes"], "answer": answer}
    meta = {"source": "MMMU", "split": "val", "image_path": "images/1.jpg"}
    return {**row, "category": category, "l2_category": "geometry", "meta_info": meta}


def vista(pid, asked, answer, choices=None, answer_type="integer", precision=None, unit=None, hint="Please answer."):
    listed = "".join(f"\n({letter}) {text}" for letter, text in zip(LETTERS, choices or (), strict=False))
    query = f"Hint: {hint}\nQuestion: {asked}{f' (Unit: {unit})' if unit else ''}"
    return {
        **{"pid": pid, "question": asked, "image": f"images/{pid}.jpg", "decoded_image": cell(next(_COLOURS))},
        **{"choices": choices, "unit": unit, "precision": precision, "answer": answer},
        **{"question_type": "multi_choice" if choices else "free_form", "answer_type": answer_type},
        "metadata": {"split": "testmini", "language": "english", "task": "figure question answering"},
        "query": query + (f"\nChoices:{listed}" if choices else ""),
    }


def vision(name, question, options, answer, subject="algebra"):
    row = {"id": name, "question": question, "options": options, "image": f"images/{name}.jpg"}
    row |= {"decoded_image": cell(next(_COLOURS)), "answer": answer, "solution": None, "level": 3}
    return {**row, "subject": subject}


def verse(sample, problem, version, question, answer, kind="multi-choice", image=True):
    row = {"sample_index": sample, "problem_index": problem, "problem_version": version, "question": question}
    meta = {"split": "testmini", "source": "Any", "subject": "Plane Geometry", "subfield": "Angle"}
    row |= {"image": cell(next(_COLOURS)) if image else None, "answer": answer, "question_type": kind}
    return {**row, "metadata": meta, "query_wo": "?", "query_cot": "?"}


def parquet(rows, like):
    """A Parquet file of `rows` with the columns of `like`."""
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=pa.Table.from_pylist(like).schema), out)
    return out.getvalue()


MMMU = [
    mmmu("validation_Biology_1", "Which part is in <image 1>?", "['Root', 'Leaf', \"Bee's wing\"]", "C"),
    mmmu("validation_Biology_2", "Which is a leaf?", "['<image 1>', '<image 2>', '<image 3>']", "C", (1, 2, 3)),
    mmmu("validation_Art_Theory_3", "Which of nine in <image 1>?", many(9), "I"),
    mmmu("validation_Math_15", "How much is <image 1>?", "[]", "['24/7', '3.429']", kind="open"),
    mmmu("validation_Geography_4", "Where is <image 1>?", "[]", "['Tampa', 'Florida']", kind="open"),
    mmmu("validation_Chemistry_30", "What is <image 1>?", "[]", "['$MgS$', 'MgS']", kind="open"),
    mmmu("validation_Physics_21", "Which lamp of <image 1>?", "[]", "A", kind="open"),
    mmmu("validation_Physics_22", "How many volts in <image 1>?", "[]", "12.5", kind="short-answer"),
    mmmu("validation_Physics_23", "How many farads in <image 1>?", "[]", "0.0015", kind="open"),
    mmmu(
        "validation_Art_5",
        "What is the colour of <image 1>?",
        many(3, "hue"),
        "B",
        (1, 2),
        explanation=MARK_IN_SOLUTION,
    ),
    mmmu("validation_Art_6", "Compare <image 1> and <image 2>.", many(2), "A", (1,)),
    mmmu("validation_Art_7", "What is <image 1>?", "['a', 'b", "A"),
    mmmu("validation_Art_8", "What is this <image 1>?", many(4), "?"),
    mmmu("validation_Art_9", "And without a picture?", many(4), "A", ()),
    mmmu("validation_Art_10", "Open, without a gold: <image 1>?", "[]", " ", kind="open"),
]
MMMU_HEALTH = [
    mmmu("validation_Clinical_Medicine_7", "What does <image 1> show?", "['Stroke', 'Tumour']", "B"),
    mmmu("validation_Pharmacy_26", "Which curve of <image 1>?", "[]", "A", kind="open"),
]
MMMU_PRO = [
    pro("test_Biology_1", "Which of ten: <image 1>?", many(10), "J"),
    pro("test_Computer_Science_61", "Which of twelve: <image 1>?", many(12), "L", subject="Computer_Science"),
    pro("validation_Accounting_29", "Who is in <image 1>?", "[['A', 'B', 'Not enough information']]", "B"),
    pro("test_Finance_96", "How many dollars in <image 1>?", "['1', '2', '2 ', '3']", "C", subject="Finance"),
    pro("test_Math_30", "<image 3> then <image 1>?", "['<image 2>', 'none']", "A", (1, 2, 3)),
    pro("test_Geography_252", "<image 2>, <image 1> and again <image 2>?", "['<image 1>', '<image 2>']", "B", (1, 2)),
    pro("test_Art_4", "Which letter is drawn in <image 1>?", "['B', 'A', 'D', 'C']", "A", subject="Art"),
    pro("test_Public_Health_5", "How many cases in <image 1>?", many(10, "cases"), "D", subject="Public_Health"),
    pro("test_Art_6", "Of these options none is the gold: <image 1>?", many(3), "D", subject="Art"),
]

MULTIMODAL = {
    "mmmu": Fixture(
        path="Biology/validation-00000-of-00001.parquet",
        rows=MMMU,
        files={
            "Pharmacy/validation-00000-of-00001.parquet": parquet(MMMU_HEALTH, MMMU),
            "Biology/test-00000-of-00001.parquet": b"another split, which is not read",
        },
        asked=tuple(f"mmmu-{row['id']}" for row in (*MMMU[:10], *MMMU_HEALTH)),
        left_out=5,
    ),
    "mmmu-pro": Fixture(
        path="test-00000-of-00001.parquet",
        rows=MMMU_PRO,
        asked=tuple(f"mmmu-pro-{row['id']}" for row in MMMU_PRO[:8]),
        left_out=1,
    ),
    "mmmu-pro-4": Fixture(
        path="test-00000-of-00001.parquet",
        rows=[
            pro("test_Biology_1", "Which of four: <image 1>?", many(4), "D"),
            pro("test_Biology_2", "Which of two: <image 1>?", many(2), "A"),
            pro("test_Biology_3", "A row of another config: <image 1>?", many(10), "A"),
        ],
        asked=("mmmu-pro-4-test_Biology_1", "mmmu-pro-4-test_Biology_2"),
        left_out=1,
    ),
    "mmmu-pro-vision": Fixture(
        path="test-00000-of-00001.parquet",
        rows=[
            {"id": name, "image": picture, "options": many(n), "answer": answer, "subject": "Clinical_Medicine"}
            for name, picture, n, answer in (
                ("test_Clinical_Medicine_1", cell("red"), 10, "J"),
                ("test_Clinical_Medicine_2", cell("blue"), 4, "B"),
                ("test_Clinical_Medicine_3", cell("green"), 4, "E"),
                ("test_Clinical_Medicine_4", None, 4, "A"),
            )
        ],
        asked=("mmmu-pro-vision-test_Clinical_Medicine_1", "mmmu-pro-vision-test_Clinical_Medicine_2"),
        left_out=2,
    ),
    "mmstar": Fixture(
        path="mmstar.parquet",
        rows=[
            star(0, "What is it?\nOptions: A: A cat, asleep., B: Two dogs, C: 1, 2, and 3, D: None of these", "C"),
            star(1, "What is it?\nChoices:\n(A) 5 cm\n(B) 6 cm\n(C) 7 cm", "B"),
            star(2, "Which object?\nOptions: A: A, B: B, C: C, D: D", "D"),
            star(3, "Which vitamin?\nOptions: A: A, C: and D, B: only C", "B"),
            star(4, "See <image 1>: which?\nOptions: A: red, B: blue", "A"),
            star(5, "Which of these? A. red B. blue", "B"),
            star(6, "Which?\nOptions: A: red, B: blue", "E"),
            star(7, "Which of those? A. red B. blue", "red"),
        ],
        asked=tuple(f"mmstar-{i}" for i in range(6)),
        left_out=2,
    ),
    "mathvista": Fixture(
        path="data/testmini-00000-of-00001-7.parquet",
        rows=[
            vista("1", "Is it red?", "No", ["Yes", "No"], "text"),
            vista("2", "Which point is it?", "B", ["B", "A", "C"], "text"),
            vista("3", "How old is he?", "8", unit="years"),
            vista("4", "How tall is it?", "1.4", answer_type="float", precision=1.0),
            vista("5", "How wide is it?", "1.45", answer_type="float", precision=2.0),
            vista("6", "Which two numbers?", "[0, 8]", answer_type="list"),
            vista("7", "How many are there?", "1200"),
            vista("8", "这是多少?", "12", ["10", "11", "11", "12"], "text"),
            vista("9", "And of none?", "13", ["10", "11"], "text"),
            vista("10", "And in words?", "a few"),
        ],
        asked=tuple(f"mathvista-{i}" for i in range(1, 9)),
        left_out=2,
    ),
    "mathvision": Fixture(
        path="data/test-00000-of-00001-3.parquet",
        rows=[
            vision("1", "How many?\n<image1>", ["1", "2", "3", "4", "5"], "D"),
            vision("2", "Which is it?\n<image1>", list("ABCDE"), "E"),
            vision("59", "Which corner of <image1>?", [], "C"),
            vision("2653", "Which of <image2> to <image6> fits <image1>?", [f"<image{i}>" for i in range(2, 7)], "B"),
            vision("2830", "What is the ratio in <image1>?", [], "\frac{36}{13}"),
            vision("2947", "How large is the angle in <image1>?", [], "69{degrees}"),
            vision("3007", "How large is the area in <image1>?", [], "8\\sqrt{3}{squareinches}"),
            vision("3008", "How long is the arc in <image1>?", [], "\\frac{3}{4}\\pi{inches}"),
            vision("12", "What is the sum in <image1>?", [], "$\\boxed{12}$"),
            vision("2955", "Where is the point in <image1>?", [], "(3,-4)"),
            vision("1300", "What is the scale of <image1>?", [], "1:2"),
            vision("1843", "How many cubes in <image1>?", ["4", "5", "5", "6", "7"], "C"),
            vision("9", "Without a gold: <image1>?", [], " "),
            vision("10", "Of four options: <image1>?", ["1", "2", "3", "4"], "E"),
        ],
        asked=tuple(f"mathvision-{i}" for i in (1, 2, 59, 2653, 2830, 2947, 3007, 3008, 12, 2955, 1300, 1843)),
        left_out=2,
    ),
    "mathverse": Fixture(
        path="testmini.parquet",
        rows=[
            verse("1", "1", "Text Dominant", "An angle of 40° ... What is x?\nChoices:\nA:40°\nB:50°\nC:60°", "B"),
            verse("2", "1", "Vision Only", "", "(B)"),
            verse("3", "2", "Text Lite", "Is it so?\nChoices:\nA:True\nB:False", "False"),
            verse("4", "2", "Vision Intensive", "Is it so?\nChoices:\nA:True\nB:False", "F"),
            verse("5", "3", "Text Lite", "Which?\nChoices:\nA:1\nB:2\nC:3\nD:4", "C\nD"),
            verse("6", "4", "Text Lite", "What is the bearing?", "118掳T", "free-form"),
            verse("7", "5", "Text Lite", "What is the angle?", "35掳", "free-form"),
            verse("8", "6", "Text Lite", "How long is the rim?", "Circumference $=50.27 \\mathrm{~cm}$", "free-form"),
            verse("9", "7", "Text Lite", "How large is it?", "Area $=9 \\pi \\mathrm{cm}^{2}$", "free-form"),
            verse("10", "8", "Vision Only", "", "$$r=7.00$$", "free-form"),
            verse("11", "8", "Text Only", "A circle ... What is r?", "$$r=7.00$$", "free-form", image=False),
            verse("12", "9", "Text Lite", "Without a picture?", "5", "free-form", image=False),
            verse("13", "9", "Vision Only", "", "F"),
        ],
        asked=tuple(f"mathverse-{i}" for i in (1, 2, 3, 6, 7, 8, 9, 10)),
        left_out=4,
    ),
    "mathverse-text-only": Fixture(
        path="testmini_text_only.parquet",
        rows=[
            verse("1", "1", "Text Only", "What is x?\nChoices:\nA:40°\nB:50°", "A", image=False) | {"image": ""},
            verse("2", "1", "Text Lite", "Another version, which is passed over?", "5", image=False) | {"image": ""},
            verse("3", "2", "", "And without a version: what is y?", "5", "free-form", image=False) | {"image": ""},
        ],
        asked=("mathverse-text-only-1", "mathverse-text-only-3"),
    ),
}
