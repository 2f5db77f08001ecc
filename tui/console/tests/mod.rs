//! Tests of the console as a whole: messages in, state and screen out. No terminal, no clock, no broker.

mod cockpit;
mod fixture;
mod forbidding;
mod keys;
mod orders;
mod readme;
mod reload;
mod rooms;
mod screens;
mod small;
mod waiting;
