//! Faults that tests plan: an actor or a task panics, errs or hangs at a chosen point.
//!
//! Compiled for tests only, with the feature `faults`. Without it [`Faults`] has no size, its points are empty, and the
//! optimizer leaves nothing of them: the code around them is the same in both.

#[cfg(feature = "faults")]
mod plan;

#[cfg(feature = "faults")]
pub use self::plan::{Fault, Faults, Gate, How};

#[cfg(not(feature = "faults"))]
pub(crate) use self::none::Faults;

#[cfg(not(feature = "faults"))]
mod none {
    use std::{
        convert::Infallible,
        fmt::Display,
        future::{Ready, ready},
    };

    /// No faults.
    #[derive(Debug, Default)]
    pub(crate) struct Faults {}

    #[expect(clippy::unused_self, reason = "the same calls as with faults")]
    impl Faults {
        /// A point at which an actor or a task can wait.
        #[inline]
        pub(crate) fn strike(&self, _: &str, _: &str, _: &(dyn Display + Sync)) -> Ready<Result<(), Infallible>> {
            ready(Ok(()))
        }

        /// A point in the middle of a deed.
        #[inline]
        pub(crate) fn point(&self, _: &str, _: &str, _: &(dyn Display + Sync)) {}
    }
}
