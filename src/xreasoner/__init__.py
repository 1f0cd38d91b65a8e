"""xreasoner: give a vision-language model reasoning from text alone (after X-Reasoner, arXiv 2505.03981)."""

__version__ = "0.1.0"
