"""What the formal languages share: how strings are drawn, what may follow, and when a network accepts (`language`)."""
