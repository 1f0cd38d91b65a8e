"""What a recipe will need before anything runs: memory by stage, tokens, FLOPs, hours, disk."""
