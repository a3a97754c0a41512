//! The Lambda function `api`.

use api::App;
use lambda_http::{Error, run};
use shared::{Clock, Variables, aws, runtime::logging};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let variables = Variables::from_process();
    logging::to_stdout_as_json(&variables);
    let sdk = aws::config::from_environment().await;
    let app = App::from_environment(&sdk, &variables, Clock::system())?;
    run(api::router(app)).await
}
