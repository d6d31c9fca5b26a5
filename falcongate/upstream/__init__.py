"""To the service and back: target, connection, head, bodies. It decides no policy but to retry."""
