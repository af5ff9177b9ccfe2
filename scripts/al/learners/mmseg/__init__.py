"""Any configuration of mmsegmentation as a learner (the maintained ``onedl`` forks)."""
