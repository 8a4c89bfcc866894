"""What takes longer than a test may: fuzzing, soaking, and searching everything that was written."""
