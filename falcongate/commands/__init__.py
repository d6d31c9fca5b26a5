"""The operator's commands that are more than a few lines: each reads arguments, asks a room, and prints."""
