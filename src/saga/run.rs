//! The driver: fold, ask, append the intent, perform, append the result, repeat.
