mod fixtures;
mod network;
mod texts;
