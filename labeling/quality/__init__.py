"""How good the labels are, for the people who answer for them."""
