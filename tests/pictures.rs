//! Pictures of the console: what makes them is tested here; `cargo run --release --example pictures` makes them.

mod frame;
mod scrub;
mod svg;
