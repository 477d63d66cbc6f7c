//! Whole calls at call level: random runs, each repeatable from its seed.
//!
//! `SIM_SEEDS=20000` plays more of them; `SIM_SEED=17` plays one and prints what happened.
//! A seed that failed is kept in `seeds.txt` and played first from then on.

mod expected;
mod runs;
