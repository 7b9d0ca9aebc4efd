"""The closed loop, from capture to report."""
