//! What was lost, and how fast to send.
