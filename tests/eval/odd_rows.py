"""A benchmark of odd rows, and how tests read it."""

import json

from fixture_rows import png

from xreasoner.eval.asking import as_row, ask, letter_of, options_in, own_id, text_in
from xreasoner.eval.benchmark import Benchmark
from xreasoner.eval.questions import DATA_VARIABLE, Questions

CHOICE = {"question": "Which?", "options": ["this", "that"], "gold": "A"}
GOOD = {"question": "1+1?", "gold": "2"}


def to_example(row, name, pictures):
    """A question with options, or with a number as its answer; with a picture where the row has the field."""
    row = as_row(row)
    shown = [pictures.keep(row["image"])] if "image" in row else []
    options = options_in(row["options"]) if "options" in row else ()
    gold = letter_of(row.get("gold"), options) if options else text_in(row, "gold")
    verifier = "choice" if options else row.get("verifier", "number")
    tags = {"subject": row["subject"]} if "subject" in row else {}
    own, asked = own_id(row, name, "id"), text_in(row, "question")
    return ask(own, asked, gold, verifier, domain="general", options=options, pictures=shown, tags=tags)


def of(**more):
    return Questions(**{"name": "odd", "to_example": to_example, "hub": None, "source": "nowhere", **more})


def read_in(folder, monkeypatch):
    """A function that gives (ids asked, reasons by line) of the rows behind a good one; a row that is text is a line as
    it stands."""

    def load(rows, limit=None, **more):
        monkeypatch.setenv(DATA_VARIABLE, str(folder / "data"))
        home = folder / "data" / "odd"
        home.mkdir(parents=True, exist_ok=True)
        (home / "seen.png").write_bytes(png())
        lines = [row if isinstance(row, str) else json.dumps(row) for row in [GOOD, *rows]]
        (home / "test.jsonl").write_text("".join(line + "\n" for line in lines))
        loaded = Benchmark("odd", None, "", "", questions=of(**more)).examples("test", folder / "pictures", limit)
        left = {}
        for one in loaded.left_out:
            place = one.id.removeprefix("Line ").partition(" of ")[0]
            assert place not in left, "named once"
            left[place] = one.reason
            one.reason.encode()
            assert one.reason.isprintable()
        return {e.id for e in loaded.examples}, left

    return load


def only(read, row):
    """Why a row is left out, beside which a good one is asked."""
    asked, left = read([row])
    assert asked == {"odd-1"}
    assert len(left) == 1
    return next(iter(left.values()))
