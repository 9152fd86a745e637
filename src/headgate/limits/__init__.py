"""How much may be under way, and who waits. Decisions are pure; a queue's futures are a thin shell around them."""
