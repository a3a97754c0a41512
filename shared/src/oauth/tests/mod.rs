mod consent;
mod exchange;
mod fixtures;
mod network;
mod requests;
mod texts;
