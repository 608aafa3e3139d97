//! `relman lock`.
