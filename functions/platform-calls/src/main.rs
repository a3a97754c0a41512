//! The Lambda function `platform-calls`.

use lambda_http::lambda_runtime::run;
use lambda_http::tower::{ServiceExt, service_fn};
use lambda_http::{Adapter, Error};
use platform_calls::{App, router, service, with_every_header};
use shared::runtime::metrics::Metrics;
use shared::{Clock, Variables, aws, runtime::logging};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let variables = Variables::from_process();
    logging::to_stdout_as_json(&variables);
    let sdk = aws::config::from_environment().await;
    let app = App::from_environment(&sdk, &variables, Clock::system())?;
    let app = app.with_metrics(&Metrics::to_stdout(&variables));
    let calls = service(router(app));
    run(service_fn(move |event| {
        Adapter::from(calls.clone()).oneshot(with_every_header(event))
    }))
    .await
}
