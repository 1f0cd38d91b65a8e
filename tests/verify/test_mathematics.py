import pytest

from xreasoner.verify.mathematics import same_mathematics


@pytest.mark.parametrize(
    ("gold", "answer", "same"),
    [
        # an identical answer must be right, whatever the notation
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\left( 3, \\frac{\\pi}{2} \\right)", True),
        ("\\text{Evelyn}", "\\text{Evelyn}", True),
        ("10,\\!080", "10,\\!080", True),
        ("4210_{5}", "4210_{5}", True),
        ("1,-2", "1,-2", True),
        ("\\begin{pmatrix}1\\\\2\\end{pmatrix}", "\\begin{pmatrix}1\\\\2\\end{pmatrix}", True),
        # the same in other words
        ("\\frac{1}{2}", "0.5", True),
        ("\\frac{1}{3}", "0.333333", True),
        ("2x+1", "1+2x", True),
        ("1,-2", "-2,1", True),
        ("5", "x = 5", True),
        ("5", "$5$", True),
        ("5", "\\(5\\).", True),
        ("5", "5 \\text{ cm}", True),
        ("$\\boxed{5}$", "5", True),
        ("\\text{(C)}", "C", True),
        ("10", "10\\%", True),
        ("4210_{5}", "4210", True),
        ("x_1+x_2", "x_2+x_1", True),
        # the last box is cut out first; text around it does not answer
        ("6", "\\boxed{5}. Actually no, \\boxed{6}", True),
        ("5", "\\boxed{5}. Actually no, \\boxed{6}", False),
        ("7", "I would check again with 7", False),
        ("5", "5}, \\boxed{6", False),
        ("5", "5}", False),
        ("7", "12 and 7", False),
        ("1", "1 or 2", False),
        # what math-verify itself would let pass
        ("(1,2)", "\\{1,2\\}", False),
        ("(1,2)", "\\left\\{1,2\\right\\}", False),
        ("1010", "1010_2", False),
        ("42_5", "42_6", False),
        ("1/2^{99}", "1/2^{98}", False),
        # plainly wrong or junk
        ("(1,2]", "(1,2)", False),
        ("(1,2)", "(2,1)", False),
        ("5", "-5", False),
        ("5", "", False),
        ("5", "\\frac", False),
        ("5", "\x00", False),
        ("5", "\\frac{1}{0}", False),
        ("5", "(" * 400 + "5" + ")" * 400, False),
        ("5", "{" * 11 + "5" + "}" * 11, False),
        ("5", "5+0" * 1000, False),
    ],
)
def test_same_mathematics(gold, answer, same):
    assert same_mathematics(answer, gold)[0] is same


@pytest.mark.parametrize("gold", ["", "$$", "\\frac{1}{2", "5}", "{" * 11 + "5" + "}" * 11, "5+0" * 1000])
def test_a_gold_that_cannot_be_read_is_an_error(gold):
    with pytest.raises(ValueError, match="not a formula"):
        same_mathematics("5", gold)
