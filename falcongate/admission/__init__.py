"""May it pass: who asks, breakers, limits, places. Answers yes, or raises the refusal."""
