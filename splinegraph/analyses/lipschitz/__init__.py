"""How far the output of a network can move: sound lower and upper bounds of its Lipschitz constant."""
