"""Options of many kinds under attack; see reading_attacks.py."""

from reading_forms import (
    BLOOD,
    BONES,
    BUGS,
    CHINESE,
    DECISIONS,
    KIDNEYS,
    PICTURES,
    SIGNED,
    SIGNS,
    TENS,
    TRUTH,
    TWINS,
    VITAMINS,
    judged,
)

GENES = ("AA", "Aa", "aa", "None of these")
BRCA = ("BRCA1", "BRCA2", "K-RAS", "c-MYC", "TP53")
MG = ("0.5 mg", "5 mg", "10 mg", "50 mg", "500 mg")
SCANS = ("CT", "MRI", "X-ray", "Ultrasound")
CHANGE = ("Increase", "Decrease", "No change")
LETTERSETS = ("A only", "B only", "Both A and B", "Neither A nor B")
ROMAN = ("I only", "II only", "I and II", "I, II and III")
ELEMENTS = ("H", "C", "K", "Na")
HUNDREDS = ("100", "103", "250", "1000")
HEP = ("Hepatitis", "Hepatitis B", "Cirrhosis", "Gallstone")
STONES = ("Kidney", "Kidney stone", "Bladder", "Ureter")
FLAT = ("Yes", "No")
FIVE = ("Aspirin", "Ibuprofen", "Warfarin", "Heparin", "Morphine")
SIGNSR = ("Rh+", "Rh-", "Na+", "Cl-")
YEARS = ("2 days", "2 weeks", "3 months", "1 year")
SPEC = ("Escherichia coli", "Clostridium", "Aspergillus", "Bacillus", "Candida")

CASES = [
    *judged(
        FIVE,
        E=["E", "e", "E: Morphine", "E. morphine"],
        NOTHING=["E. coli", "E. coli infection", "E. faecalis", "e.g. heparin", "E.g., heparin or warfarin",
            "e.g. none", "E-cigarettes", "E = mc^2", "E.R.", "C. tetani", "B. burgdorferi", "E. granulosus cysts"],
    ),
    *judged(
        BONES,
        I=["I", "I.", "(I) Patella", "The answer is I."],
        NOTHING=["I am unsure", "I: am unsure? H", "I, for one, cannot tell", "I.e. none", "i.e. the big one",
            "I don't", "I.V. access", "I (do not know)", "I would say so", "I guess", "I choose", "I'd pick a",
            "I would choose none"],
    ),
    *judged(
        GENES,
        A=["AA", "A: AA", "A"],
        B=["Aa", "B: Aa", "B"],
        C=["aa", "C: aa", "The answer is aa", "\\boxed{aa}"],
        NOTHING=["aA", "AA or Aa", "Aa, aa", "A a"],
    ),
    *judged(
        BRCA,
        A=["BRCA1", "a mutation in BRCA1", "A. BRCA1"],
        C=["K-RAS", "k-ras", "C: K-RAS"],
        D=["c-MYC", "C-MYC", "c-myc amplification", "amplification of c-MYC"],
        NOTHING=["BRCA", "BRCA1/2", "BRCA1 and BRCA2", "BRCA1-associated", "B-RAF", "A-RAF", "K", "c-", "E2F",
            "C-KIT", "D-loop", "BRCA12", "no BRCA1"],
    ),
    *judged(
        MG,
        B=["5 mg", "5 mg by mouth", "a dose of 5 mg", "B: 5 mg", "5 MG."],
        A=["0.5 mg", "0.5"],
        C=["10 mg"],
        E=["500 mg once a day", "500"],
        NOTHING=["5 mg/kg", "5 mg per kg", "5 to 10 mg", "5-10 mg", "5 mg to 10 mg", "less than 5 mg",
            "more than 5 mg", "at least 5 mg", "up to 10 mg", "5 mg or more", "half of 10 mg", "1 500 mg",
            "1,500 mg", "-5 mg", "5 mg x 3", "5", "5 g", "5 mcg", "1.5 mg", "15 mg", "55", "5.0.5", "50 000 mg",
            "two doses of 5 mg and one of 20 mg", "from 5 mg to 20 mg", "under 5 mg", "over 50 mg", "twice 5 mg",
            "5 mg squared", "10 mg^2", "≥5 mg", "<5 mg", "~5 mg or so?", "five", "05", "5 mg not 10 mg or 50 mg?",
            "not 5", "5 or 10", "double 5 mg"],
    ),
    *judged(
        YEARS,
        C=["3 months", "after 3 months"],
        NOTHING=["2", "3", "12", "1.5", "2 months", "2-3", "3 days", "2 days to 2 weeks",
            "within 3 months or 1 year"],
    ),
    *judged(
        SCANS,
        A=["CT", "A: CT", "CT, because it is fast"],
        B=["MRI", "an MRI of the brain"],
        NOTHING=["CT or MRI", "MRI and CT", "MRI or CT", "MRI after CT", "MRI/CT", "CT and then MRI",
            "X-ray, then CT", "an MRI-guided biopsy", "no MRI", "a CT and an MRI"],
    ),
    *judged(
        CHANGE,
        A=["Increase", "It will increase", "an increase"],
        B=["decrease", "it would decrease"],
        C=["no change", "There is no change."],
        NOTHING=["increase or decrease", "It does not increase", "no increase", "no decrease",
            "increase, then decrease", "It won't increase", "change", "neither increase nor decrease",
            "it may increase", "increase, no change", "not increase but fall", "hardly increase",
            "fails to increase", "increased"],
    ),
    *judged(
        LETTERSETS,
        A=["A", "A only", "A: A only", "A. A only"],
        B=["B", "B only", "B: B only"],
        C=["Both A and B", "A and B", "C", "C: Both A and B", "C. Both A and B are right"],
        D=["Neither A nor B", "D: Neither A nor B"],
        NOTHING=["A, B", "A or B", "Only A", "AB", "not only A"],
    ),
    *judged(
        ROMAN,
        A=["I only", "A", "A. I only", "A: I only"],
        C=["I and II", "C: I and II", "C. I and II only"],
        D=["I, II and III", "D. I, II, and III"],
        NOTHING=["I", "II", "III", "I, II", "II and III", "I or II", "i"],
    ),
    *judged(
        ELEMENTS,
        A=["A", "H", "A: H", "A. H"],
        B=["B", "B: C", "B. C", "B) C"],
        C=["C", "K", "C: K"],
        D=["Na", "D", "D: Na"],
        NOTHING=["H and K", "Na+", "NaK", "K+", "H2", "C and K", "N"],
    ),
    *judged(
        HUNDREDS,
        A=["100", "A: 100", "The answer is 100", "It is 100", "$100$"],
        D=["1000"],
        NOTHING=["The study had 100 patients", "100 patients and 3 more", "The sum of 100 and 3", "negative 100",
            "minus 100", "-100", "100 + 3", "100%", "€100", "100.5", "1 000", "100 000", "more than 100",
            "over 250", "100 or 103", "half of 250", "10^100", "100!", "about 250 in 2020", "in 1000 patients",
            "100/3", "3/100", "100 x 3", "1,000"],
    ),
    *judged(
        HEP,
        A=["Hepatitis", "acute hepatitis"],
        B=["Hepatitis B", "hepatitis B infection"],
        NOTHING=["Hepatitis C", "hepatitis 2", "Hepatitis A or B", "no hepatitis", "autoimmune-hepatitis-like",
            "Hepatitis E virus", "cirrhosis or hepatitis"],
        C=["cirrhosis of the liver"],
    ),
    *judged(
        STONES,
        A=["Kidney", "The kidney"],
        B=["kidney stone", "a kidney stone"],
        NOTHING=["kidney stones in the bladder", "kidney and ureter", "bladder or ureter"],
    ),
    *judged(
        FLAT,
        A=["Yes", "yes.", "Yes, it is seen", "A", "A: Yes", "Yes, there is a fracture", "yes!", "**Yes**",
            "The answer is yes", "YES"],
        B=["No", "no.", "No, it is not", "No, it is not seen", "B: No", "no, there is no fracture", "No!",
            "The answer is no."],
        NOTHING=["Yes and no", "yes/no", "Yes or no", "yes, no", "no, yes", "Yes?", "No?", "not yes",
            "no evidence of fracture", "No fracture is seen", "Not seen", "normal", "unclear", "yes if old",
            "Yes, but no", "maybe yes", "Y", "N", "yes & no", "I would say neither yes nor no", "No idea",
            "no answer", "no comment", "It might be yes", "nope", "yeah", "Yes... no", "Yes. No.", "No. Yes.",
            "yes-no", "Not sure, yes?", "Is it yes?", "Can't say yes", "yes, I cannot tell", "Hardly yes"],
    ),
    *judged(
        DECISIONS,
        A=["A", "yes, it does"],
        B=["no"],
        C=["maybe", "C: maybe", "It is a maybe"],
        NOTHING=["maybe yes", "maybe no", "yes, maybe", "yes/no/maybe", "yes, no or maybe", "no, maybe yes",
            "yes or maybe", "definitely unclear"],
    ),
    *judged(
        TRUTH,
        A=["That is true"],
        B=["false", "it is false"],
        C=["cannot be determined"],
        NOTHING=["true or false", "untrue", "half true", "true, false", "partly true", "not false", "true if old",
            "neither true nor false", "This isn't true", "hardly true", "true?"],
    ),
    *judged(
        SIGNSR,
        A=["Rh+", "A: Rh+"],
        B=["Rh-", "B"],
        C=["Na+"],
        NOTHING=["Rh", "Na", "Na++", "Cl", "Rh+/-", "Rh+ or Rh-", "Na+Cl-", "Na+/K+"],
    ),
    *judged(
        SPEC,
        A=["Escherichia coli", "A. Escherichia coli"],
        E=["E", "E: Candida", "E. Candida"],
        NOTHING=["E. coli", "C. albicans", "A. fumigatus", "B. cereus", "E. coli, of course", "C. difficile toxin"],
    ),
    *judged(
        BUGS,
        A=["A", "E. coli infection"],
        B=["C. difficile colitis", "B: C. difficile colitis"],
        D=["B. cereus in rice", "D. B. cereus"],
        NOTHING=["C. albicans", "B. fragilis", "A. baumannii", "E. faecalis", "E. coli or C. difficile",
            "C. difficile or B. cereus", "not E. coli", "C. tetani or C. botulinum"],
    ),
    *judged(
        VITAMINS,
        C=["Vitamin C", "C", "C: Vitamin C", "C. Ascorbic acid, that is, vitamin C"],
        NOTHING=["Vitamin B", "Vitamin B6", "Vitamin E", "vitamins", "Vitamin C or D", "Vitamin C and K",
            "Vitamins A and D", "not vitamin C", "Vitamin C?", "Vitamin A, C", "C or vitamin D",
            "C: Vitamin C or D", "C: Vitamin C and K", "C: no, K"],
    ),
    *judged(
        SIGNED,
        B=["B: 4"],
        NOTHING=["negative 4", "minus 4", "+-4", "±4", "4 or -4", "4 and -4", "-4, 4", "--4", "4-", "|−4|", "2-4",
            "- 4 or 4"],
    ),
    *judged(
        KIDNEYS,
        B=["chronic kidney disease"],
        NOTHING=["not kidney disease", "kidney disease, not chronic kidney disease?", "acute",
            "disease of the kidney", "chronic kidney disease is excluded", "rule out kidney disease",
            "end-stage kidney disease or worse"],
    ),
    *judged(
        SIGNS,
        D=["D. All of the above", "D: All of the above: fever, cough, rash"],
        E=["None of the above", "E: none of the above"],
        NOTHING=["All of the above except fever", "all or none", "none", "all", "Fever and rash", "Fever + cough",
            "not fever", "all of the above or none of the above"],
    ),
    *judged(
        TWINS,
        A=["liver"],
        NOTHING=["liver or kidney", "not liver", "B or D"],
    ),
    *judged(
        CHINESE,
        B=["B", "选B。", "答案是B"],
        NOTHING=["B或C", "B，或者C", "B：错误", "B: 不是", "B和C", "维生素", "不是维生素C", "维生素B",
            "维生素C或铁", "铁和锌", "可能是铁，也可能是锌", "B？", "不选 B", "B。不对", "除了B", "B以外"],
    ),
    *judged(
        TENS,
        B=["B"],
        NOTHING=["10 or 20", "10, 20", "5 10", "10 20 30", "ten", "10 - 20", "10+", "10 years", "about 10",
            "5 of 10", "10:20", "10th"],
    ),
    *judged(
        PICTURES,
        NOTHING=["image 2 or 3", "<image 2> or <image 1>", "not <image 2>", "<image 5>", "<image>", "the picture"],
    ),
    *judged(
        BLOOD,
        A=["A"],
        NOTHING=["A or B", "O or AB", "ABO", "Rh or O", "O-", "AB+"],
    ),
]  # fmt: skip
