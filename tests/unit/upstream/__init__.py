"""To the service and back."""
