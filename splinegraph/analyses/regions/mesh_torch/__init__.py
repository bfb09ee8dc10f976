"""The exact partition of a polygon of inputs in torch alone, in large steps that suit a GPU."""
