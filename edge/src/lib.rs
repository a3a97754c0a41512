//! What the functions behind API Gateway share: the caller as the authorizer describes them,
//! problem details, strict query parameters, and the layers around a router.

pub mod json;
pub mod layers;
pub mod member;
pub mod openapi;
pub mod problem;
pub mod query;
pub mod quota_view;
