"""What every request and every response gets, before a door is chosen and after it answered."""
