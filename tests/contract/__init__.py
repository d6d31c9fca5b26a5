"""One suite for every store: what it promises, whatever it is made of."""
