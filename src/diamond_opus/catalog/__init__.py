"""What a shop may ask of the catalogue, and what it gets."""
