//! Tests that are about time and so take theirs: they wait more than they work. They are in one
//! program because cargo runs the tests of one program side by side, and programs one after the other.

#[path = "../support/mod.rs"]
mod support;

mod brakes;
mod cuts;
mod garbage;
mod reader;
