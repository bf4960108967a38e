//! Connect tokens, the handshake, and packets: netcode 1.02.
