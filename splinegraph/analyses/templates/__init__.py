"""Templates, the rows of A[x]: what they are, what they ought to be, and what untrained ones foretell."""
