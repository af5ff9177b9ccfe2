"""Learner ``nnunet``: nnU-Net v2 with partial labels; its section is documented in settings.py."""
