//! The Lambda function `notify`.

use aws_lambda_events::event::sns::SnsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use notify::Notify;
use shared::{Clock, Variables, aws, runtime::logging};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let variables = Variables::from_process();
    logging::to_stdout_as_json(&variables);
    let sdk = aws::config::from_environment().await;
    let function = Notify::from_environment(&sdk, &variables, Clock::system())?;
    let function = &function;
    run(service_fn(|event: LambdaEvent<SnsEvent>| {
        function.handle(event)
    }))
    .await
}
