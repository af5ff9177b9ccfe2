"""The embedded learner: a small encoder-decoder in plain PyTorch, for 2-D, 3-D and RoIs."""
