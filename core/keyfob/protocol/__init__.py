"""What is said on the wire: pure functions that build requests and judge answers. No I/O."""
