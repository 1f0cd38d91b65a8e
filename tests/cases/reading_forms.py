"""Options of many kinds, and the forms that the tables of reading cases use."""

from case_tables import NONE, RIGHT, Case

DRUGS = ("Aspirin", "Ibuprofen", "Warfarin", "Heparin")
VITAMINS = ("Vitamin A", "Vitamin B12", "Vitamin C", "Vitamin D", "Vitamin K")
VIRUSES = ("Hepatitis A", "Hepatitis B", "Hepatitis C", "Hepatitis D", "Hepatitis E")
STEPS = (
    "Begin treatment with intravenous ceftriaxone",
    "Obtain a CT scan of the head",
    "Perform a lumbar puncture",
    "Reassurance and discharge",
    "Both B and C",
)
KIDNEYS = (
    "Acute kidney injury",
    "Chronic kidney disease",
    "Acute on chronic kidney disease",
    "Kidney disease",
    "No kidney disease",
)
SIGNS = ("Fever", "Cough", "Rash", "All of the above", "None of the above")
TENS = ("5", "10", "15", "20", "25", "30", "35", "40", "45", "50")
SIGNED = ("-4", "4", "-2", "2", "0")
DOSES = ("0.5 mg", "5 mg", "50 mg", "500 mg")
PICTURES = ("<image 2>", "<image 1>", "<image 4>", "<image 3>")
SHUFFLED = ("C", "D", "A", "B")
BLOOD = ("AB", "O", "Rh", "Q")
TWINS = ("Liver", "Spleen", "liver.", "Kidney")
FORMULAS = (r"$\frac{1}{2}$", r"$\frac{1}{3}$", r"$\sqrt{2}$", r"$2\pi$")
BONES = (
    *("Femur", "Tibia", "Fibula", "Radius", "Ulna", "Humerus", "Scapula", "Sternum", "Patella", "Sacrum"),
    *("Mandible", "Hyoid"),
)
TRUTH = ("True", "False", "Cannot be determined")
DECISIONS = ("yes", "no", "maybe")
ANIMALS = ("Dog", "Cat", "Wildcat", "Catfish")
CHINESE = ("维生素A", "维生素C", "铁", "锌")
PEOPLE = ("A man aged 45", "A woman aged 45", "I do not know", "A child")
CELLS = ("T cells", "B cells", "NK cells", "Mast cells")
BUGS = ("E. coli", "C. difficile", "S. aureus", "B. cereus")


def after(thoughts: str, options: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[Case]:
    """Rows of (gold, what follows the thoughts, outcome[, why])."""
    return [Case("choice", thoughts + text, gold, outcome, "".join(why), options) for gold, text, outcome, *why in rows]


def said(options: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[Case]:
    """Rows of (gold, the inside of the answer tag, outcome[, why])."""
    return [
        Case("choice", f"<think>Let me see.</think> <answer>{text}</answer>", gold, outcome, "".join(why), options)
        for gold, text, outcome, *why in rows
    ]


def plain(options: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[Case]:
    """Rows of (gold, a reply without thoughts, outcome[, why])."""
    return after("", options, rows)


def judged(options: tuple[str, ...], **answers: list[str]) -> list[Case]:
    """By the letter that a careful person reads in them, or NOTHING: the insides of answer tags."""
    return [
        case
        for letter, texts in answers.items()
        for case in said(options, [("A", t, NONE) if letter == "NOTHING" else (letter, t, RIGHT) for t in texts])
    ]
