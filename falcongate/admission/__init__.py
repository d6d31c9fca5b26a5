"""May it pass: breakers, limits. Answers yes, or raises the refusal."""
