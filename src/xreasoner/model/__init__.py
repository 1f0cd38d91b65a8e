"""Vision-language models: which are supported, detaching and grafting the language tower, loading."""
