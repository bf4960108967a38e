//! One established connection: messages in lanes, and the frames that carry them.
