"""What all tests share."""

import gc

gc.disable()  # while tests and the libraries that they import are read


def pytest_collection_finish() -> None:
    """What was imported are some million objects that stay: no collection has to look through them again. Where memory
    is slow, that is most of the suite's time."""
    gc.freeze()
    gc.enable()
