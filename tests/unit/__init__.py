"""Each module by itself: pure, in seconds."""
