"""Real gateways, services and callers: what is seen from outside."""
