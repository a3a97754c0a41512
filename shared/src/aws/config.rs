/// Loads the configuration of the SDK's clients from the process's environment.
pub async fn from_environment() -> aws_config::SdkConfig {
    aws_config::load_defaults(aws_config::BehaviorVersion::v2026_01_12()).await
}
