"""Build strong lottery tickets, certify them, and put the theorems about them to the test."""
