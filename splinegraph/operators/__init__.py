"""One file per operator family, and the table from torch calls to operators."""
