"""Evaluation: benchmarks asked of a Sampler through Inspect AI, with image controls, as cells that a report reads."""
