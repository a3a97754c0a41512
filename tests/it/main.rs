//! Integration tests: the real handlers, behind the real gateway, on the
//! embedded engine, with simulated platforms and a clock that stands still.

#![expect(clippy::unwrap_used, reason = "a test that fails should say where")]

mod auditing;
mod checking;
mod checklist;
mod consenting;
mod contract;
mod cross_origin;
mod fallback;
mod holds;
mod identity;
mod importer;
mod imports;
mod independent;
mod members;
mod mixture;
mod notifying;
mod openapi;
mod operations;
mod outages;
mod permissions;
mod platform_calls;
mod quota_engine;
mod quotas;
mod registering;
mod relay;
mod secrets;
mod signing_in;
mod simulation;
mod sweeping;
mod world;
