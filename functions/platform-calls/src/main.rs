//! The Lambda function `platform-calls`.

use lambda_http::{Error, run};
use platform_calls::{App, router, service};
use shared::runtime::metrics::Metrics;
use shared::{Clock, Variables, aws, runtime::logging};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let variables = Variables::from_process();
    logging::to_stdout_as_json(&variables);
    let sdk = aws::config::from_environment().await;
    let app = App::from_environment(&sdk, &variables, Clock::system())?;
    let app = app.with_metrics(&Metrics::to_stdout(&variables));
    run(service(router(app))).await
}
