"""How far an input is from another class, and what training can do about it."""
