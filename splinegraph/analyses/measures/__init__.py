"""What a trained network is measured by: its gap of accuracy, its activity, and how sharp or smooth it is."""
