"""Multiple choice as models write it: whole replies, read by a careful person first. Of our own making, all of them.

A person takes what is announced as the answer, not what the prose leans to: a reply that announces none, or two, has no
answer, however likely one of them is.
"""

from case_tables import NONE, RIGHT, WRONG
from reading_attacks import CASES as ATTACKS
from reading_doubts import CASES as DOUBTS
from reading_dresses import DRESSED
from reading_forms import BLOOD, CELLS, DOSES, DRUGS, SIGNS, STEPS, TENS, TWINS, VIRUSES, VITAMINS, after, said
from reading_options import CASES as OPTIONS
from reading_texts import SHORT

RAMBLE = (
    "<think>The man is 45, and A 45-year-old man with this history could have many things. Let me go through them. "
    "Option A, aspirin, would make sense if it were a stroke. But wait, option B (ibuprofen) would be worse for the "
    "kidneys. Hmm, I think that C is tempting, since warfarin is what most people would say. Actually, no. Heparin "
    "acts at once, while warfarin takes days. So the answer is C? No, D. Let me check again: the answer is B if the "
    "question asks about pain, but it does not.</think>\n\n"
)
DOUBT = (
    "<think>Okay, so I need to find the vitamin. Vitamin A is for the eyes, vitamin B12 for the nerves, vitamin D for "
    "the bones, and vitamin K for clotting. <answer>D</answer> would be my first guess, but the gums bleed, and then "
    "\\boxed{C} is better. The answer is A? No.</think>"
)
CUT = (
    "<think>We have five options. A is out since it spares the liver. B would be chronic. Then C, D or E. I would say "
    "that it is D because D needs B. But wait, is it a superinfection, and then the answer is B, or is it"
)


LONG = [
    *after(
        RAMBLE,
        DRUGS,
        [
            ("D", "<answer>D: Heparin </answer>", RIGHT, "what the thoughts named on their way does not count"),
            ("C", "<answer>D: Heparin </answer>", WRONG),
            ("D", "<answer>D</answer>", RIGHT),
            ("D", "<answer> heparin</answer>", RIGHT),
            ("D", "Warfarin takes days and aspirin is no anticoagulant.\n\n<answer>D: Heparin</answer>", RIGHT),
            ("D", "A. Aspirin: no.\nB. Ibuprofen: no.\nC. Warfarin: slow.\nD. Heparin: yes.\n\n**Answer: D**", RIGHT),
            ("D", "A. Aspirin: no.\nB. Ibuprofen: no.\nC. Warfarin: slow.\nD. Heparin: yes.", NONE, "announces none"),
            ("D", "The man needs an anticoagulant that acts at once.\n\nThe correct answer is **D: Heparin**.", RIGHT),
            ("D", "Of these, only heparin acts at once, so option D fits best.", NONE, "leans to one, announces none"),
            ("D", "So, $\\boxed{D}$.", RIGHT),
            ("D", "<answer>D: Heparin</answer>\n\nIn short, A is weak, B is harmful and C is slow.", RIGHT),
            ("D", "<answer>C</answer> Wait, that is slow. <answer>D</answer>", RIGHT, "the last one counts"),
            ("D", "<answer>D</answer> Wait, it could be C. <answer>C</answer>", WRONG, "the same"),
            ("D", "<answer>Heparin, because warfarin takes days to act</answer>", RIGHT, "what follows is the reason"),
            ("D", "<answer>D, because warfarin (C) takes days to act</answer>", RIGHT, "the same"),
            ("D", "<answer>Heparin is the drug that acts at once</answer>", RIGHT),
            ("D", "<answer>The patient should be given heparin.</answer>", RIGHT),
            ("D", "<answer>The patient should not be given heparin.</answer>", NONE, "it denies the only one it names"),
            ("D", "<answer>Enoxaparin</answer>", NONE, "no option"),
            ("D", "<answer>D: Enoxaparin</answer>", RIGHT, "the letter counts"),
            ("D", "<answer>D: Warfarin</answer>", RIGHT, "letter against text: the letter counts"),
            ("C", "<answer>D: Warfarin</answer>", WRONG, "the same"),
            ("D", "Answer: D. Heparin", RIGHT),
            ("D", "Answer: (D) Heparin.", RIGHT),
            ("D", "Final answer: D) heparin, which acts at once", RIGHT),
            ("D", "I would go with heparin here.\n\nFinal Answer:\nD", RIGHT),
            ("D", "The best option is D.", RIGHT),
            ("D", "The correct option is: D", RIGHT),
            ("D", "Therefore, the correct answer is D. Heparin.", RIGHT),
            ("D", "Thus, the best answer is (D) Heparin because it acts at once.", RIGHT),
            ("D", "", NONE),
            ("D", "<answer></answer>", NONE),
            ("D", "<answer>?</answer>", NONE),
            ("D", "<answer>I cannot give medical advice.</answer>", NONE, "a refusal"),
            ("A", "<answer>As an AI, I can't choose a drug for you.</answer>", NONE, "a refusal that begins with A"),
            ("A", "<answer>A doctor should decide.</answer>", NONE, "the article"),
            ("A", "I'm sorry, but I can't help with choosing a drug.", NONE),
            ("A", "<answer>None of the options is right.</answer>", NONE),
            ("A", "<answer>All of them</answer>", NONE),
            ("A", "<answer>A or D</answer>", NONE),
            ("A", "<answer>Either A or D would do</answer>", NONE),
            ("A", "<answer>A (Aspirin) and D (Heparin)</answer>", NONE),
            ("A", "<answer>A, D</answer>", NONE),
            ("A", "<answer>AD</answer>", NONE),
            ("D", "<answer>E: Enoxaparin</answer>", NONE, "there is no fifth option"),
            ("D", "<answer>4</answer>", NONE, "options have letters"),
            ("D", "<answer>[the letter of my choice]</answer>", NONE, "the form, not filled in"),
            ("A", "<answer>A: Aspirin\nB: Ibuprofen\nC: Warfarin\nD: Heparin</answer>", NONE, "the options again"),
            ("B", "<answer>B: No </answer>", RIGHT, "the example of the prompt; its letter counts all the same"),
        ],
    ),
    *after(
        DOUBT,
        VITAMINS,
        [
            ("C", "<answer>C: Vitamin C</answer>", RIGHT),
            ("C", " <answer>Vitamin C</answer>", RIGHT, "the C is part of the text, and of the letter too"),
            ("D", " <answer>Vitamin C</answer>", WRONG),
            ("E", "<answer>Vitamin K</answer>", RIGHT, "K is no letter here, and the text is option E"),
            ("E", "<answer>E: Vitamin K</answer>", RIGHT),
            ("C", "<answer>C</answer>", RIGHT),
            ("C", "<answer>c: vitamin c</answer>", RIGHT),
            ("B", "<answer>B: Vitamin B12</answer>", RIGHT),
            ("B", "<answer>Vitamin B</answer>", NONE, "less than the text of an option"),
            ("B", "<answer>vitamin b12 deficiency</answer>", RIGHT),
            ("C", "<answer>lack of vitamin C</answer>", RIGHT),
            ("C", "<answer>vitamin C, not vitamin D</answer>", RIGHT, "a choice, and what it is not"),
            ("C", "<answer>D</answer></think><answer>C</answer>", RIGHT, "thoughts that close twice"),
            ("C", "<answer>C", RIGHT, "cut off before its close"),
            ("C", "<answer>C: Vitamin", RIGHT, "the same"),
            ("C", "<answer>Vitamin", NONE, "the same, before it says which"),
            ("C", "The gums bleed. Vitamin C", NONE, "nothing announces it"),
            ("C", "It is vitamin C that heals the gums.\nAnswer: vitamin C", RIGHT),
            ("A", "A vitamin is missing, I think.", NONE),
            ("C", "<think>Or is it K?</think><answer>C</answer>", RIGHT, "thoughts again, but closed"),
            ("C", "<answer>C</answer><think>Or is it K?", NONE, "thoughts again, and open: it takes the answer back"),
        ],
    ),
    *after(
        CUT + "</think>",
        VIRUSES,
        [
            ("D", " <answer>D: Hepatitis D</answer>", RIGHT, "closed by force, then answered"),
            ("D", "<answer>D", RIGHT, "and out of tokens"),
            ("D", "<answer>Hepatitis D", RIGHT, "the same"),
            ("D", "<answer>Hepatitis", NONE, "the same, before it says which"),
            ("D", " a coinfection? Then it is B. <answer>D: Hepatitis D</answer>", RIGHT, "thinks on, then answers"),
            ("D", " a coinfection? If so, it would be B. But D needs B, so", NONE, "it thinks on to the end"),
            ("D", "\n\nThe answer is D.", RIGHT),
            ("D", "\n\nAnswer: D: Hepatitis D", RIGHT),
            ("D", "\n\n\\boxed{\\text{D}}", RIGHT),
            ("D", "\n\nHepatitis D", NONE, "nothing announces it"),
            ("D", "\n\nD", NONE, "the same"),
            ("B", " <answer>Hepatitis B</answer>", RIGHT),
            ("B", " <answer>Hepatitis B and hepatitis D</answer>", NONE),
            ("B", " <answer>Hepatitis B virus</answer>", RIGHT),
            ("D", " <answer>hepatitis delta</answer>", NONE, "a person may know that it is D; its text says no option"),
        ],
    ),
    *after(
        CUT,
        VIRUSES,
        [
            ("D", "", NONE, "never closed"),
            ("D", " <answer>D</answer>", NONE, "still thinking: an example, a guess or the answer, who knows"),
            ("D", " \\boxed{D}", NONE, "the same"),
            ("D", "\n\nFinal answer: D", NONE, "the same"),
        ],
    ),
]  # fmt: skip


# What a clear rule can read without a risk: a correction, a place, a number that one option alone has.
MENDED = [
    *said(
        DRUGS,
        [
            ("D", "the fourth option", RIGHT),
            ("B", "Not A, but B", RIGHT),
            ("B", "A is wrong, so B", RIGHT),
            ("D", "B... no, D", RIGHT),
            ("C", "The answer is B. No, the answer is C.", RIGHT),
            ("C", "C: Warfarin; A, B and D are unnecessary", RIGHT, "the others, denied"),
        ],
    ),
    *said(DOSES, [("B", "5", RIGHT, "the only option with that number")]),
]  # fmt: skip

# A person reads these as they are marked; the verifier, which never guesses, finds no answer in them. Behind each: why
# no rule reads it.
KNOWN_TO_BE_WRONG = [
    *said(CELLS, [("C", "NK cells, which need no antigen", RIGHT, "whose denial it is takes grammar")]),
    *said(
        DRUGS,
        [
            ("D", "the fourth option, heparin, not warfarin", RIGHT, "three names of two options; too rare for a rule"),
            ("C", "D\n\nWait, he is young: C", RIGHT, "second thoughts in free words, and there may be third ones"),
            ("A", "A and D are both right, but A is better", RIGHT, "prose about two letters"),
            ("C", "C. Warfarin is better than aspirin (A) here", RIGHT, "a comparison can go either way"),
            ("B", "**B. Ibuprofen**\n\nOption A (aspirin) is contraindicated.", RIGHT, "another letter, in prose"),
            ("B", "B: Ibuprofen, but aspirin is another one", RIGHT, "a second option behind a \"but\""),
            ("D", "Heparin, but slowly", RIGHT, "the same"),
            ("D", "It could be heparin", RIGHT, "a hedge: some would not take it for an answer"),
        ],
    ),
    *said(VITAMINS, [("B", "B12", RIGHT, "a part of one option"), ("E", "K", RIGHT, "the same")]),
    *said(STEPS, [("B", "Obtain a CT scan", RIGHT, "the same")]),
    *said(BLOOD, [("A", "group AB", RIGHT, "two letters are too short to be looked for in a sentence")]),
    *said(TENS, [("B", "5 + 5 = 10", RIGHT, "holds two options; no formula is worked out")]),
    *said(TWINS, [("A", "A or C", RIGHT, "two letters; that they say the same is chance")]),
    *said(SIGNS, [("D", "Fever, cough and rash", RIGHT, "needs the meaning of \"all of the above\"")]),
]  # fmt: skip

CASES = [*LONG, *SHORT, *DRESSED, *MENDED, *ATTACKS, *OPTIONS, *DOUBTS]
