"""Files written whole, saved models that are checked, and what made them."""
