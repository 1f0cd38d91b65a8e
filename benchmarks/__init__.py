"""What is measured beside others, in one process run: `python -m benchmarks.NAME [--quick] [--json FILE]`.

Every module prints its figures and writes them as JSON (results.py). Machine and versions stand in the file.
"""
