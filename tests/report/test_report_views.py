from xreasoner.report.views import model_card, shares


def test_a_model_card_without_front_matter_and_figures_apart():
    card = "---\nlicense: x\n---\n# The base\n\nIt `reads`\npages.\n\nAnd more.\n\n```json\n{}\n```\n"
    assert model_card(card) == (["It reads pages.", "And more."], "{}")
    assert model_card("") == ([], "")


def test_shares_are_percent_and_other_numbers_left_out():
    assert shares({"rl": {"before": 0.059, "after": 0.0, "rollouts": 256, "note": "x"}}) == [
        ("rl / before", "5.9%"),
        ("rl / after", "0.0%"),
    ]
