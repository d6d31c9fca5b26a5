"""What the operator's commands print."""
