//! The Lambda function `rate-limit-authorizer`.

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use rate_limit_authorizer::{Authorizer, Request};
use shared::runtime::metrics::Metrics;
use shared::{Clock, Variables, aws, runtime::logging};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let variables = Variables::from_process();
    logging::to_stdout_as_json(&variables);
    let sdk = aws::config::from_environment().await;
    let function = Authorizer::from_environment(&sdk, &variables, Clock::system())?;
    let function = &function.with_metrics(Metrics::to_stdout(&variables));
    run(service_fn(|event: LambdaEvent<Request>| {
        function.handle(event)
    }))
    .await
}
