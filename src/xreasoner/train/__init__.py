"""Training the detached language tower: supervised fine-tuning and reinforcement learning, on text alone; with
`eyes`, SFT on pictures too."""
