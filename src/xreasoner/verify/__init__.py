"""From a model's text to a Verdict. Loads neither torch nor math-verify."""

from xreasoner.verify.extract import extract_answer
from xreasoner.verify.verifiers import VERIFIERS, Verifier, check_gold, verify, verify_many

__all__ = ["VERIFIERS", "Verifier", "check_gold", "extract_answer", "verify", "verify_many"]
