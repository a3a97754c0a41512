//! What a person does to an integration: hands over a credential for it, or
//! switches it off.

mod disconnect;
pub mod fields;
pub mod fingerprint;
pub mod import;
mod request;
mod store;
mod values;

pub use disconnect::{Disconnected, disconnect};
pub use request::Registration;
pub use store::{Change, Origin, Registered, RegistrationError};
