"""What people see and say: feedback, selection, review and the labels that come of it."""
