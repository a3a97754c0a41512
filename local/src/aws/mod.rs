//! The AWS services of the template on loopback: as much of each as the functions
//! use, in AWS's own protocols, so that the SDK's clients run unchanged.

pub(crate) mod dynamodb;
pub mod guard;
pub(crate) mod kms;
pub mod lambda;
mod protocol;
pub(crate) mod s3;
pub(crate) mod scheduler;
pub(crate) mod secrets;
pub(crate) mod sns;
pub(crate) mod sqs;
pub(crate) mod tables;
