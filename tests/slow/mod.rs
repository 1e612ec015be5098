//! Tests that are about time and so take theirs: they wait more than they work.

mod brakes;
mod cuts;
mod garbage;
mod reader;
