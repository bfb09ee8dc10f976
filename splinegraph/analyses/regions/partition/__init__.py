"""What an enumeration gives: the cells of a partition, how they touch, and what the network does on them."""
