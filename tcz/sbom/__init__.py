"""Bills of materials: what finished packages are made of, as values and in two standard formats."""
