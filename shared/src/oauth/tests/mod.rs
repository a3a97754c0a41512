mod consent;
mod fixtures;
mod network;
mod requests;
mod texts;
