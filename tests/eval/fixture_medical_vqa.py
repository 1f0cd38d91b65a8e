"""Fixtures of the benchmarks in medical_images.py and medical_vqa.py."""

import io
import json
import zipfile

from fixture_rows import Fixture, cell, png

FIVE = {"A": "Sarcoidosis", "B": "Scurvy", "C": "Gout", "D": "Lupus", "E": "Vitamin A deficiency"}
CHOICES = "\nAnswer Choices: " + " ".join(f"({letter}) {text}" for letter, text in FIVE.items())
DISEASES = list(FIVE.values())
SHADES = {"MM-1-a.jpeg": 10, "MM-2-a.png": 20, "MM-2-b.JPG": 30, "MM-2-c.jpeg": 40, "MM-3-a.jpeg": 50}


def zipped(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def grey(level, name="a.png"):
    """A picture in a grey of its own, of the kind that the name says."""
    return png(level, mode="L", kind="PNG" if name.endswith("png") else "JPEG")


def expert(name, question, label, images, options=FIVE):
    """A row as MedXpertQA's config MM has them."""
    row = {"id": name, "question": question, "options": options, "label": label, "images": images}
    return {**row, "medical_task": "Diagnosis", "body_system": "Skeletal", "question_type": "Reasoning"}


MEDXPERTQA_MM = Fixture(
    path="MM/test.jsonl",
    rows=[
        expert("MM-1", f"A 45-year-old man limps. What is it?{CHOICES}", "E", ["MM-1-a.jpeg"]),
        expert("MM-2", f"Compare Figure A and B to C.{CHOICES}", "B", ["MM-2-b.JPG", "MM-2-a.png", "MM-2-c.jpeg"]),
        expert("MM-3", "Without its options at the end?", "(C)", ["MM-3-a.jpeg"]),
        expert("MM-4", f"With a picture that is not there?{CHOICES}", "A", ["MM-4-a.jpeg"]),
        expert("MM-5", f"With no picture?{CHOICES}", "A", []),
        expert("MM-6", f"With pictures that are no list?{CHOICES}", "A", "MM-1-a.jpeg"),
        expert("MM-7", f"With a letter of none?{CHOICES}", "F", ["MM-1-a.jpeg"]),
        expert("MM-8", f"With a gap?{CHOICES}", "A", ["MM-1-a.jpeg"], {**FIVE, "B": None}),
    ],
    asked=("medxpertqa-mm-MM-1", "medxpertqa-mm-MM-2", "medxpertqa-mm-MM-3"),
    left_out=5,
    files={"images.zip": zipped({f"images/{name}": grey(level, name) for name, level in SHADES.items()})},
)


def challenge(number, question, answer, context="yes", options=DISEASES, image=True):
    """A row as the copy of the NEJM Image Challenge has them."""
    row = {"image_id": number, "date": "apr-01-2010", "question": question, "relevant_context": context}
    votes = {f"option_{letter}_votes": 0.2 for letter in "ABCDE"}
    shown = cell((number % 250, 9, 9)) if image else None
    return {**row, **votes, "image": shown, "options": options, "answer": answer}


NEJM = Fixture(
    path="data/test-00000-of-00001.parquet",
    rows=[
        challenge(1, "What is the diagnosis?", "C", context="no"),
        challenge(2, "What is the most likely diagnosis?", "vitamin a  deficiency", context="no"),
        challenge(3, "A 40-year-old man has a rash. What is the diagnosis?", "Scurvy"),
        challenge(4, "Which vitamin would have helped?", "(B)", context="no"),
        challenge(5, "What is the diagnosis ?", None),
        challenge(6, "What is the diagnosis?", "Measles"),
        challenge(7, "What is the diagnosis?", "A", image=False),
        challenge(8, "What is the diagnosis?", "A", options=["Scurvy", "Gout", "", "Lupus", "Rickets"]),
    ],
    asked=("nejm-1", "nejm-2", "nejm-3", "nejm-4"),
    left_out=4,
)


def omni(number, options, answer, modality="CT(Computed Tomography)", kind="Modality Recognition", **more):
    """A row as OmniMedVQA's files have them."""
    row = {"dataset": "ACRIMA", "question_id": f"ACRIMA_{number:04}", "question_type": kind}
    row |= {"question": f"What is seen in {number}?", "gt_answer": answer}
    row |= {"image_path": f"Images/ACRIMA/{number}.png"}
    row |= {f"option_{letter}": text for letter, text in zip("ABCD", options, strict=False)}
    return {**row, "modality_type": modality, **more}


def chest(number):
    """A row of the one file that says `modality` instead of `modality_type`."""
    row = omni(number, ["CT", "MRI"], "CT", dataset="Chest CT Scan")
    row["modality"] = row.pop("modality_type")
    return row


_OMNI_ROWS = [
    omni(1, ["Fundus imaging", "MRI", "CT", "X-ray"], "Fundus imaging", "Fundus Photography"),
    omni(2, ["Yes", "No"], "no ", "MR (Mag-netic Resonance Imaging)", "Disease Diagnosis"),
    omni(3, ["Drusen", "Normal retina.", "Edema"], "normal  retina", "OCT (Optical Coherence Tomography"),
    omni(4, ["A", "C", "B", "D"], "C", kind="Lesion  grading"),
    omni(5, ["Left", "Right", None, None], "Left"),
    omni(6, ["Left", "Right"], "Above"),
    omni(7, ["Left", "Right", "left"], "Left"),
    omni(8, ["Left", "Right"], ""),
    omni(9, ["Left", None, "Right"], "Left"),
    omni(10, ["Left", "Right"], "Left", image_path="Images/ACRIMA/none.png"),
    omni(11, ["Left", "Right"], "Left", question_id=None),
    omni(12, ["Left", "Right"], "Left", modality=None),
    omni(1, ["Left", "Right"], "Left"),
]
_OMNI_FILES = {
    "QA_information/Open-access/Chest CT Scan.json": json.dumps([chest(20), chest(21)]).encode(),
    "QA_information/Restricted-access/Other.json": json.dumps([omni(99, ["Left", "Right"], "Left")]).encode(),
    "OmniMedVQA.zip": zipped({f"OmniMedVQA/Images/ACRIMA/{i}.png": grey(i) for i in [*range(1, 13), 20, 21, 99]}),
}
_OMNI_ASKED = (*(f"ACRIMA_{i:04}" for i in (1, 2, 3, 4, 5)), "ACRIMA_0020", "ACRIMA_0021")


def omnimedvqa(name):
    return Fixture(
        path="QA_information/Open-access/ACRIMA.json",
        rows=_OMNI_ROWS,
        asked=tuple(f"{name}-{question}" for question in _OMNI_ASKED),
        left_out=8,
        files=_OMNI_FILES,
    )


def slaked(number, question, answer, kind="OPEN", language="en", image="xmlab1"):
    """A row as SLAKE has them."""
    row = {"img_id": 1, "img_name": f"{image}/source.jpg", "question": question, "answer": answer, "q_lang": language}
    row |= {"location": "Lung", "modality": "X-Ray", "answer_type": kind, "base_type": "vqa"}
    return {**row, "triple": ["vhead", "_", "_"], "qid": number, "content_type": "Position"}


_SLAKE_ROWS = [
    slaked(1, "Is the lung healthy?", "Yes", "CLOSED"),
    slaked(2, "Is this a T1 or a T2 image?", "T2", "CLOSED"),
    slaked(3, "Is the heart healthy?", "no", "CLOSED", image="xmlab2"),
    slaked(4, "Where is the lesion?", "Left Lung, Right"),
    slaked(5, "Which organ is it?", "Liver", image="xmlab2"),
    slaked(6, "肺部健康吗？", "健康", "CLOSED", "zh"),
    slaked(7, "病变在哪里？", "左肺", "OPEN", "zh"),
    slaked(8, "No gold?", "", "CLOSED"),
    slaked(9, "No gold here?", None),
    slaked(10, "No picture?", "Yes", "CLOSED", image="xmlab9"),
    slaked(11, "Of which language?", "Yes", "CLOSED", None),
    slaked(5, "Twice of one id?", "Liver"),
]
_SLAKE_FILES = {
    "imgs.zip": zipped(
        {
            **{f"imgs/xmlab{i}/source.jpg": grey(i, "source.jpg") for i in (1, 2, 3)},
            **{f"imgs/xmlab{i}/mask.png": grey(200) for i in (1, 2)},
        }
    )
}


def vqa_row(question, answer, colour="red"):
    """A row as VQA-RAD and PathVQA have them on the Hub."""
    return {"image": cell(colour) if colour else None, "question": question, "answer": answer}


_VQA_ROWS = [
    vqa_row("Is there a fracture?", "yes"),
    vqa_row("Is there a mass?", "No"),
    vqa_row("Is it large?", " YES. ", "blue"),
    vqa_row("Where is it?", "in the left lobe"),
    vqa_row("What is it?", "Yes-associated protein", "blue"),
    vqa_row("How many are there?", "2", "blue"),
    vqa_row("Is there a picture?", "no", None),
    vqa_row("Is there a gold?", None),
    vqa_row("", "yes", "green"),
]


def vqa(name):
    """(closed, open)"""
    path = "data/test-00000-of-00001.parquet"
    closed = Fixture(path=path, rows=_VQA_ROWS, asked=tuple(f"{name}-{i}" for i in (1, 2, 3)), left_out=2)
    return {
        name: closed,
        f"{name}-open": Fixture(
            path=path, rows=_VQA_ROWS, asked=tuple(f"{name}-open-{i}" for i in (4, 5, 6)), left_out=1
        ),
    }


def pmc(question, options, figure="PMC1_Fig1.jpg", **answer):
    """A row as PMC-VQA's version 1 has them."""
    row = {"Figure_path": figure, "Question": question, "Caption": "The secret is a tumour."}
    choices = {f"Choice {letter}": text for letter, text in zip("ABCD", options, strict=False)}
    return {**row, **choices, **answer}


_PMC_OPTIONS = (" A:CT ", "B: MRI", " C :X-ray: lateral", "D:D-dimer")

MEDICAL_VQA = {
    "medxpertqa-mm": MEDXPERTQA_MM,
    "nejm": NEJM,
    "omnimedvqa": omnimedvqa("omnimedvqa"),
    "omnimedvqa-all": omnimedvqa("omnimedvqa-all"),
    "slake": Fixture(
        path="test.json",
        rows=_SLAKE_ROWS,
        asked=("slake-1", "slake-2", "slake-3"),
        left_out=3,
        files=_SLAKE_FILES,
    ),
    "slake-open": Fixture(
        path="test.json", rows=_SLAKE_ROWS, asked=("slake-open-4", "slake-open-5"), left_out=2, files=_SLAKE_FILES
    ),
    **vqa("vqa-rad"),
    **vqa("pathvqa"),
    "pmc-vqa": Fixture(
        path="test_clean.jsonl",
        rows=[
            pmc("Which modality?", _PMC_OPTIONS, Answer=" B: MRI", Answer_label="B"),
            pmc("Which view?", _PMC_OPTIONS, Anwser="C:X-ray: lateral", Answer_label="C"),
            pmc("Which of version 2?", _PMC_OPTIONS, Answer="D"),
            pmc("Letter and text at odds?", _PMC_OPTIONS, Answer="A:CT", Answer_label="B"),
            pmc("Without a gold?", _PMC_OPTIONS),
            pmc("With an empty option?", (*_PMC_OPTIONS[:3], " D:"), Answer_label="A"),
            pmc("With three options?", _PMC_OPTIONS[:3], Answer_label="A"),
            pmc("Without a figure?", _PMC_OPTIONS, figure="PMC9.jpg", Answer_label="A"),
        ],
        asked=("pmc-vqa-1", "pmc-vqa-2", "pmc-vqa-3"),
        left_out=5,
        files={"images.zip": zipped({"images/PMC1_Fig1.jpg": grey(77, "a.jpg")})},
    ),
}
