"""Fixtures of the benchmarks in medical.py."""

from fixture_rows import Fixture

FOUR = {"A": "Aspirin", "B": "Vitamin C", "C": "Heparin", "D": "Rest"}
FIVE = [{"key": letter, "value": f"drug {letter.lower()}"} for letter in "ABCDE"]
BODY = ("Heart", "Lung", "Liver", "Kidney", "Spleen", "Skin", "Brain", "Bone", "Eye", "Ear")
TEN = dict(zip("ABCDEFGHIJ", BODY, strict=True))
CHOICES = "\nAnswer Choices: " + " ".join(f"({letter}) {text}" for letter, text in TEN.items())


def usmle(question, options, letter, answer):
    """A row as the copies of MedQA have them."""
    row = {"question": question, "answer": answer, "options": options, "meta_info": "step1", "answer_idx": letter}
    return {**row, "metamap_phrases": ["man"]}


def expert(name, question, label, options=TEN):
    """A row as MedXpertQA's config Text has them."""
    row = {"id": name, "question": question, "options": options, "label": label, "medical_task": "Diagnosis"}
    return {**row, "body_system": "Urinary", "question_type": "Reasoning"}


def mcqa(name, question, cop, options=("Iron", "Zinc", "Copper", "All of the above")):
    """A row as MedMCQA has them."""
    named = dict(zip(("opa", "opb", "opc", "opd"), options, strict=True))
    row = {"id": name, "question": question, **named, "cop": cop, "choice_type": "single", "exp": "x"}
    return {**row, "subject_name": "Dental", "topic_name": None}


MEDICAL = {
    "medqa": Fixture(
        path="phrases_no_exclude_test.jsonl",
        rows=[
            usmle("A 45-year-old man has bleeding gums. What helps?", FOUR, "B", "Vitamin C"),
            usmle("A woman has a clot. What helps?", FOUR, "C", " heparin"),
            usmle("A child is tired. What helps?", FOUR, "D", "Rest"),
            usmle("Letter and text at odds?", FOUR, "A", "Rest"),
            usmle("Of five options?", {**FOUR, "E": "None"}, "A", "Aspirin"),
            usmle("A letter of none?", FOUR, "E", "Rest"),
            usmle("No options?", None, "A", "Aspirin"),
        ],
        asked=("medqa-1", "medqa-2", "medqa-3"),
        left_out=4,
    ),
    "medqa-5": Fixture(
        path="med_qa_en_source/test/0000.parquet",
        rows=[
            usmle("Which drug is the fifth?", FIVE, "E", "drug e"),
            usmle("Which drug is the first?", FIVE, "A", "drug a"),
            usmle("Out of order?", FIVE[::-1], "B", "drug b"),
            usmle("Of four options?", FIVE[:4], "A", "drug a"),
            usmle("A blank one?", [*FIVE[:4], {"key": "E", "value": " "}], "A", "drug a"),
            usmle("Two of one letter?", [*FIVE[:4], FIVE[0]], "A", "drug a"),
        ],
        asked=("medqa-5-1", "medqa-5-2", "medqa-5-3"),
        left_out=3,
    ),
    "medxpertqa-text": Fixture(
        path="Text/test.jsonl",
        rows=[
            expert("Text-0", "Which organ hears?" + CHOICES, "J"),
            expert("Text-1", "Which organ sees? Answer Choices: none are given here.", "I"),
            expert("Text-2", "Which organ thinks?" + CHOICES.replace("\n", " \n\n"), "G"),
            expert("Text-3", "Options as text?", "B", "{'A': 'Heart', 'B': 'Lung'}"),
            expert("Text-4", "Options in JSON, the label as a text?", "Lung", '{"A": "Heart", "B": "Lung"}'),
            expert("Text-8", "Which organ breathes?" + CHOICES.replace("Choices", "choices"), "B"),
            expert("Text-9", "Which organ moves?\nAnswer Choices: A. Bone B. Eye", "A", {"A": "Bone", "B": "Eye"}),
            expert("Text-5", CHOICES, "A"),
            expert("Text-6", "A gap in the letters?", "A", {"A": "Heart", "C": "Liver"}),
            expert("Text-7", "No label?" + CHOICES, ""),
        ],
        asked=tuple(f"medxpertqa-text-Text-{n}" for n in (0, 1, 2, 3, 4, 8, 9)),
        left_out=3,
    ),
    "medmcqa": Fixture(
        path="data/validation-00000-of-00001.parquet",
        rows=[
            mcqa("a-0", "Which is the first?", 0),
            mcqa("a-1", "Which is the last?", 3),
            mcqa("a-2", "Twins?", 1, ("Iron", "Zinc", "zinc ", "Tin")),
            mcqa("a-3", "Without a gold, as in the test split?", -1),
            mcqa("a-4", "Beyond every option?", 5),
            mcqa("a-5", "Without a gold at all?", None),
            mcqa("a-6", "A blank option?", 0, ("Iron", "", "Tin", "Lead")),
        ],
        asked=("medmcqa-a-0", "medmcqa-a-1", "medmcqa-a-2"),
        left_out=4,
    ),
    "pubmedqa": Fixture(
        rows=[
            {
                "QUESTION": "Does rest help?",
                "CONTEXTS": ["Forty people rested.", "Most felt better."],
                "LABELS": ["METHODS", "RESULTS"],
                "final_decision": "yes",
                "LONG_ANSWER": "SECRET: it does.",
            },
            {
                "pubid": 21645374,
                "question": "Does noise help?",
                "context": {
                    "contexts": ["Ten people heard noise.", " "],
                    "labels": ["METHODS", "RESULTS"],
                    "meshes": [],
                },
                "long_answer": "SECRET: it does not.",
                "final_decision": "no",
            },
            {
                "id": "q7",
                "data": {
                    "Question": "Does light help?",
                    "Context": ["Six people saw light."],
                    "Options": {"A": "yes", "B": "maybe", "C": "no"},
                    "Correct Option": "B",
                    "Long Answer": "SECRET: perhaps.",
                },
            },
            {"QUESTION": "Without an abstract?", "CONTEXTS": [], "final_decision": "yes"},
            {"QUESTION": "Without a decision?", "CONTEXTS": ["Ten people."], "final_decision": None},
            {"QUESTION": "Another decision?", "CONTEXTS": ["Ten people."], "final_decision": "unclear"},
            {"CONTEXTS": ["Without a question."], "final_decision": "no"},
            {"data": "broken"},
        ],
        asked=("pubmedqa-1", "pubmedqa-21645374", "pubmedqa-q7"),
        left_out=5,
    ),
}
