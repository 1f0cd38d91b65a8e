"""Training the detached language tower: supervised fine-tuning and reinforcement learning, on text alone."""
