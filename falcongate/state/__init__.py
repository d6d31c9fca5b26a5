"""What all workers and hosts share."""
