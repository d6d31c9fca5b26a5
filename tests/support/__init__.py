"""What system and fault tests start and speak: processes, services, callers."""
