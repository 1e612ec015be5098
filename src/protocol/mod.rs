//! What is said: lines, values, packets.
