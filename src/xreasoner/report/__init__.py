"""Reads run folders and tells what they hold, as one HTML page or as tables in the terminal. Writes nothing else."""
