"""The training engine of the PyTorch families: a library, no family of its own."""
