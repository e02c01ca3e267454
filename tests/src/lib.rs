//! Nothing: this package is its tests, one binary in `it/`. The tests of a deployed stack are in `system/`.
