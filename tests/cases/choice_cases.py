"""Multiple choice with 2 to 12 options, as MMLU-Pro, MedQA, MMMU-Pro and MathVista ask."""

from case_tables import BROKEN, NONE, RIGHT, WRONG, Case, tagged

FLAT = ("Yes", "No")
DRUGS = ("Aspirin", "Aspirin and heparin", "Heparin", "Warfarin")
BUGS = ("Staphylococcus aureus", "C. difficile", "E. coli", "Vitamin C deficiency", "None of the above")
NUMBERS = ("2", "12", "20", "-2", "1.2", "200 mg", "I do not know", "3/4", "45°", "0")
TEN = tuple(f"statement {n}" for n in ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
TWELVE = tuple(f"curve {n}" for n in range(1, 13))
TWINS = ("x", "Liver", "y", "liver ")
LETTERS = ("B", "C", "A", "D")
SENTENCES = (
    "A 45-year-old man with chest pain",
    "Reassurance and follow-up in 6 months",
    "Begin intravenous antibiotics",
    "Obtain a CT scan of the head",
    "Both A and B",
)

ROWS = [
    # letters
    (DRUGS, "D", "D", RIGHT),
    (DRUGS, "D", "d", RIGHT),
    (DRUGS, "D", "(D)", RIGHT),
    (DRUGS, "D", "D.", RIGHT),
    (DRUGS, "D", "**D**", RIGHT),
    (DRUGS, "D", "**D.** Warfarin", RIGHT),
    (DRUGS, "D", r"\boxed{D}", RIGHT),
    (DRUGS, "D", r"$\text{D}$", RIGHT),
    (DRUGS, "D", "Option D", RIGHT),
    (DRUGS, "D", "The answer is D.", RIGHT),
    (DRUGS, "D", "The correct answer is (D).", RIGHT),
    (DRUGS, "D", "Answer: D", RIGHT),
    (DRUGS, "D", "A", WRONG),
    (DRUGS, "D", r"\boxed{A}, no, \boxed{D}", RIGHT, "the last box counts"),
    (FLAT, "B", "B: No ", RIGHT, "the form that the paper's prompt asks for"),
    (FLAT, "B", "B:No", RIGHT),
    (FLAT, "B", "B) No, it is round", RIGHT),
    (FLAT, "B", "B - No", RIGHT),
    (FLAT, "B", "B, No", RIGHT),
    (FLAT, "B", "B No", RIGHT),
    (FLAT, "B", "B\n\nbecause it is round", RIGHT),
    (TEN, "J", "J", RIGHT),
    (TEN, "I", "I", RIGHT, "with nine options or more a lone I is a letter"),
    (TWELVE, "L", "L", RIGHT, "MMMU-Pro has a question with twelve options"),
    (TWELVE, "L", "(L) curve 12", RIGHT),
    (TWELVE, "A", "curve 1", RIGHT),
    (TWELVE, "A", "it is curve 1", RIGHT, "and curve 12 is not in it"),
    (TWELVE, "L", "it is curve 12", RIGHT, "curve 1 is no word of its own there"),
    # text
    (DRUGS, "D", "Warfarin", RIGHT),
    (DRUGS, "D", " warfarin. ", RIGHT),
    (DRUGS, "Warfarin", "D", RIGHT, "MathVista and OmniMedVQA give golds as text"),
    (DRUGS, "Warfarin", "warfarin", RIGHT),
    (DRUGS, "D", "The patient should receive warfarin.", RIGHT, "the one option that the sentence contains"),
    (DRUGS, "B", "Aspirin and heparin", RIGHT),
    (DRUGS, "B", "Give aspirin and heparin at once", RIGHT, "the longer option, of which others are only a part"),
    (DRUGS, "A", "Aspirin", RIGHT),
    (BUGS, "C", "E. coli", RIGHT, "an option's whole text comes before the letter that it starts with"),
    (BUGS, "B", "C. difficile", RIGHT),
    (BUGS, "C", "C. difficile", WRONG),
    (BUGS, "E", "none of the above", RIGHT),
    (BUGS, "B", "B: C. difficile", RIGHT),
    (FLAT, "B", "No", RIGHT),
    (FLAT, "B", "no, it is round", RIGHT),
    (FLAT, "A", "Yes, it is flat.", RIGHT),
    (NUMBERS, "D", "-2", RIGHT),
    (NUMBERS, "B", "The answer is 12", RIGHT),
    (NUMBERS, "B", "The correct answer is: 12.", RIGHT),
    (NUMBERS, "B", "of 12 patients", NONE, "a short text in a sentence is too likely chance"),
    (NUMBERS, "D", "D: -2", RIGHT),
    (NUMBERS, "F", "200 mg", RIGHT),
    (NUMBERS, "F", "a dose of 200 mg daily", RIGHT),
    (SENTENCES, "A", "A 45-year-old man with chest pain", RIGHT, "exactly the option's text"),
    (SENTENCES, "E", "Both A and B", RIGHT, "exactly the option's text, though it names two letters"),
    (SENTENCES, "E", "E: Both A and B", RIGHT),
    # letter and text at odds: by the letter
    (DRUGS, "D", "D: Aspirin", RIGHT, "the letter counts; the method says inconsistent"),
    (DRUGS, "A", "D: Aspirin", WRONG, "the same"),
    (DRUGS, "D", "D. Give heparin", RIGHT, "the same"),
    # twins
    (TWINS, "B", "D", RIGHT, "two options of the same text are both right"),
    (TWINS, "D", "B", RIGHT, "the same"),
    (TWINS, "liver", "D", RIGHT),
    (TWINS, "B", "Liver", RIGHT),
    (TWINS, "B", "C", WRONG),
    (LETTERS, "A", "A", RIGHT, "a lone letter is a letter, even where an option's text is one"),
    (LETTERS, "A", "A: B", RIGHT),
    (LETTERS, "A", "B", WRONG),
    # no answer: two letters, or one that is none of the options'
    (DRUGS, "A", "A and B", NONE),
    (DRUGS, "A", "A or B", NONE),
    (DRUGS, "A", "A, B", NONE),
    (DRUGS, "A", "A/B", NONE),
    (DRUGS, "A", "A & D", NONE),
    (DRUGS, "A", "A, B, and C", NONE),
    (DRUGS, "A", "(A) and (B)", NONE),
    (DRUGS, "A", "A. Aspirin or B. Aspirin and heparin", NONE),
    (DRUGS, "A", "A: Aspirin\nB: Aspirin and heparin", NONE),
    (DRUGS, "A", "A) Aspirin D) Warfarin", NONE),
    (DRUGS, "A", "Option A and option B", NONE),
    (DRUGS, "A", "both A and B", NONE),
    (DRUGS, "A", "AB", NONE),
    (DRUGS, "A", "E", NONE, "there are four options"),
    (DRUGS, "A", "E: Aspirin", NONE),
    (DRUGS, "A", "I", NONE, "out of range, and more likely the pronoun"),
    (TWELVE, "A", "M", NONE),
    (DRUGS, "D", "aspirin or warfarin", NONE, "two options"),
    # no answer: no letter is searched in prose
    (DRUGS, "A", "A 45-year-old man", NONE),
    (SENTENCES, "A", "A 45-year-old", NONE, "part of an option is not the option"),
    (BUGS, "C", "vitamin C", NONE),
    (DRUGS, "A", "I think that it is B", NONE),
    (DRUGS, "B", "not B", NONE),
    (DRUGS, "D", "not warfarin", NONE, "what a sentence denies it does not choose"),
    (DRUGS, "D", "Warfarin is contraindicated, so it can't be used", NONE),
    (DRUGS, "C", "C-section", NONE),
    (DRUGS, "B", "B12", NONE),
    (DRUGS, "D", "none of these", NONE),
    (DRUGS, "D", "4", NONE, "options have letters, not numbers"),
    (NUMBERS, "A", "2 + 10 = 12", NONE),
    (NUMBERS, "B", "it is 12.5", NONE, "12 is no number of its own there"),
    (NUMBERS, "A", "-2.0", NONE),
    (NUMBERS, "C", "1,200", NONE),
    (DRUGS, "A", "", NONE),
    (DRUGS, "A", "?", NONE),
    (DRUGS, "A", "\u0391", NONE, "a Greek Alpha is not the letter A"),
    (TWELVE, "K", "\u212a", NONE, "nor is the Kelvin sign a K"),
    (DRUGS, "A", "Ａ", NONE, "nor a full-width A"),
    # options unknown
    ((), "C", "C", RIGHT),
    ((), "C", "C. because of this", RIGHT),
    ((), "C", "D", WRONG),
    ((), "C", "Z", NONE, "without options letters reach to L"),
    ((), "C", "Chest", NONE),
    # golds that name no option
    (DRUGS, "Morphine", "A", BROKEN),
    (DRUGS, "E", "A", BROKEN),
    (DRUGS, "A: Warfarin", "A", BROKEN, "letter and text of the gold are at odds"),
    (DRUGS, "", "A", BROKEN),
    ((), "Heart", "A", BROKEN, "free text is never taken for a letter"),
]

CASES = [
    Case("choice", tagged(answer), gold, outcome, "".join(why), options)
    for options, gold, answer, outcome, *why in ROWS
]
