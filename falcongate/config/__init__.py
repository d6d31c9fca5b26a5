"""What the operator says: typed settings, read once, with one report of every mistake."""
