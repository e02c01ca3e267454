//! System tests; see `it/`.
