"""From pictures of known people to a decision threshold."""
