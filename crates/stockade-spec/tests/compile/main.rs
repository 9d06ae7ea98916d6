//! Compiles policies for made-up hosts: golden plans, single rules, and properties that hold for any facts.

mod gate;
mod golden;
mod hosts;
mod layers;
mod limits;
mod properties;
mod rules;
mod seen;
mod speed;
mod tiers;
