"""JPEG files redacted in their DCT coefficients: only the blocks that a hidden region touches change."""
