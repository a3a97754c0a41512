//! The arguments of the command line.

use std::ffi::OsString;

use clap::CommandFactory;
#[cfg(feature = "local")]
use clap::error::ErrorKind;
#[cfg(not(feature = "local"))]
use clap::error::{ContextKind, ContextValue};
use clap::{Parser, Subcommand};

use crate::commands::{access_token::AccessToken, audit::Audit, call::Call};
use crate::commands::{check::Check, completions::Completions};
use crate::commands::{import::Import, quota::Quota};
#[cfg(feature = "local")]
use crate::commands::{local::Local, token, token::Token};
use crate::output::{Outcome, Output};

/// Keeps a company's integrations with ad and social platforms alive
#[derive(Debug, Parser)]
#[command(
    name = "warden",
    version,
    after_help = "Exit codes: 0 fine, 1 something needs attention or failed, 2 wrong usage."
)]
pub(crate) struct Cli {
    /// Print one JSON object to standard output and nothing else
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[cfg(feature = "local")]
    Local(Local),
    Import(Import),
    Check(Check),
    Audit(Audit),
    Quota(Quota),
    AccessToken(AccessToken),
    Call(Call),
    #[cfg(feature = "local")]
    Token(Token),
    Completions(Completions),
}

impl Cli {
    /// Parses the process's arguments; wrong ones, and `--help`, end it.
    pub(crate) fn from_process() -> Self {
        Self::parse_arguments(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    fn parse_arguments<T: Into<OsString> + Clone>(
        arguments: impl IntoIterator<Item = T>,
    ) -> Result<Self, clap::Error> {
        let cli = Self::try_parse_from(arguments);
        #[cfg(not(feature = "local"))]
        let cli = cli.map_err(without_local);
        let cli = cli?;
        #[cfg(feature = "local")]
        if let Command::Token(token) = &cli.command
            && !token.stack.local
        {
            let mut command = Self::command();
            command.build(); // so that the subcommand knows its full name
            let token = command.find_subcommand_mut("token");
            let error = ErrorKind::MissingRequiredArgument;
            return Err(match token {
                Some(command) => command.error(error, token::ONLY_LOCAL),
                None => command.error(error, token::ONLY_LOCAL),
            });
        }
        Ok(cli)
    }
}

/// Adds how to get the local stack, where an argument needs it.
#[cfg(not(feature = "local"))]
fn without_local(mut error: clap::Error) -> clap::Error {
    let named = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| error.get(kind));
    let of_local = ["local", "token", "--local", "--data-dir"];
    if let Some(ContextValue::String(name)) = named
        && of_local.contains(&name.as_str())
    {
        let tip = "this `warden` was built for AWS alone, without the local stack; \
            `cargo build -p cli` builds one that has it";
        error.remove(ContextKind::SuggestedSubcommand);
        error.remove(ContextKind::SuggestedArg);
        let tip = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

impl Command {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        match self {
            #[cfg(feature = "local")]
            Self::Local(local) => local.run(output).await,
            Self::Import(import) => import.run(output).await,
            Self::Check(check) => check.run(output).await,
            Self::Audit(audit) => audit.run(output).await,
            Self::Quota(quota) => quota.run(output).await,
            Self::AccessToken(access_token) => access_token.run(output).await,
            Self::Call(call) => call.run(output).await,
            #[cfg(feature = "local")]
            Self::Token(token) => token.run(output).await,
            Self::Completions(completions) => completions.run(Cli::command(), output),
        }
    }
}

#[cfg(all(test, not(feature = "local")))]
mod tests_without_local {
    use super::*;

    #[test]
    fn what_only_the_local_stack_has_is_refused_with_how_to_have_it() {
        for arguments in [
            "local",
            "local --port 0",
            "token --user olga --local",
            "check --local",
            "quota list --data-dir x",
        ] {
            let arguments = std::iter::once("warden").chain(arguments.split_whitespace());
            let error = Cli::parse_arguments(arguments).expect_err("there is no local stack");
            assert_eq!(error.exit_code(), 2);
            let text = error.to_string();
            assert!(text.contains("without the local stack"), "{text}");
            assert!(text.contains("cargo build -p cli"), "{text}");
        }
        let error =
            Cli::parse_arguments(["warden", "chekc"]).expect_err("there is no such command");
        assert!(!error.to_string().contains("local"), "{error}");
        assert!(Cli::parse_arguments(["warden", "check", "--sync"]).is_ok());
    }
}

#[cfg(all(test, feature = "local"))]
mod tests {
    use super::*;

    fn parse(arguments: &str) -> Result<Cli, clap::Error> {
        Cli::parse_arguments(std::iter::once("warden").chain(arguments.split_whitespace()))
    }

    #[track_caller]
    fn refused(arguments: &str, because: &str) {
        let error = parse(arguments).expect_err("this must be refused");
        assert_eq!(error.exit_code(), 2, "{arguments}");
        let text = error.to_string();
        assert!(text.contains(because), "{arguments}: {text}");
    }

    #[test]
    fn the_commands_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn everything_has_help() {
        let mut command = Cli::command();
        command.build();
        let mut all = vec![&command];
        while let Some(command) = all.pop() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "{name}");
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{name} {argument}");
            }
            all.extend(command.get_subcommands());
        }
        assert_eq!(parse("check --help").unwrap_err().exit_code(), 0);
        let local = parse("local --help").unwrap_err().to_string();
        assert!(local.contains("functions.env"), "{local}");
    }

    #[test]
    fn days_are_checked_at_the_command_line() {
        for bad in ["0", "-1", "1.5", "abc", "100000", "366", "+7"] {
            let text = "days must be a whole number from 1 to 365";
            refused(&format!("check --days {bad}"), text);
        }
        for good in ["1", "7", "365"] {
            assert!(parse(&format!("check --days {good}")).is_ok(), "{good}");
        }
    }

    #[test]
    fn a_token_can_only_be_had_locally() {
        refused("token --user olga", "AuthIssuer");
        refused("token --local", "--user");
        refused("token --user a#b --local", "user_id must be");
        assert!(parse("token --user olga --local").is_ok());
    }

    #[test]
    fn a_quota_is_named_by_platform_and_integration() {
        let known = "known are meta (or facebook), instagram";
        let id = "must be 1 to 128 characters";
        for operation in ["show", "reset", "wait"] {
            for (what, because) in [
                ("", "<PLATFORM>"),
                ("meta", "<ORG/INTEGRATION>"),
                ("myspace acme/7", known),
                ("Meta acme/7", known),
                ("meta acme", "as in acme/7f0c"),
                ("meta acme/", id),
                ("meta /7", id),
                ("meta acme/7/8", id),
                ("meta acme/7#8", id),
                ("meta acme/7 8", "unexpected argument"),
            ] {
                refused(&format!("quota {operation} {what}"), because);
            }
            for platform in ["meta", "facebook", "x", "google_ads"] {
                assert!(
                    parse(&format!("quota {operation} {platform} a:1/auth0|7 --local")).is_ok()
                );
            }
        }
        refused("quota", "Usage");
        refused("quota list meta", "unexpected argument");
        assert!(
            parse("quota list --json --local --data-dir x")
                .unwrap()
                .json
        );
    }

    #[test]
    fn one_integration_is_checked_by_the_function_and_without_conditions() {
        for (what, because) in [
            ("--integration acme", "as in acme/7f0c"),
            ("--integration acme/7#8", "must be 1 to 128 characters"),
            ("--integration", "a value is required"),
            ("--integration acme/7 --sync", "cannot be used with"),
            ("--integration acme/7 --days 7", "cannot be used with"),
            (
                "--integration acme/7 --no-auto-refresh",
                "cannot be used with",
            ),
        ] {
            refused(&format!("check {what}"), because);
        }
        assert!(parse("check --integration a:1/auth0|7 --local --json").is_ok());
    }

    #[test]
    fn an_audit_is_of_one_integration_and_bounded() {
        refused("audit", "<ORG/INTEGRATION>");
        refused("audit acme", "as in acme/7f0c");
        for bad in ["0", "-1", "+1", "1.5", "1001", "all"] {
            let because = "a whole number from 1 to 1000";
            refused(&format!("audit acme/7 --limit {bad}"), because);
        }
        assert!(parse("audit acme/7 --limit 1000 --local --json").is_ok());
    }

    #[test]
    fn a_wait_is_bounded() {
        for bad in [
            "-1",
            "+1",
            "1.5",
            "1m",
            "31622401",
            "18446744073709551616",
            "",
        ] {
            let error = Cli::parse_arguments(["warden", "quota", "wait", "x", "a/b", "--max", bad]);
            let text = error.unwrap_err().to_string();
            let because = "a whole number of seconds from 0 to 31622400";
            assert!(text.contains(because), "{bad}: {text}");
        }
        for good in ["0", "60", "31622400"] {
            assert!(
                parse(&format!("quota wait x a/b --max {good}")).is_ok(),
                "{good}"
            );
        }
    }

    #[test]
    fn json_may_stand_anywhere() {
        assert!(parse("--json check --sync").unwrap().json);
        assert!(parse("check --sync --json").unwrap().json);
        assert!(!parse("check --sync").unwrap().json);
    }

    #[test]
    fn nonsense_is_refused() {
        refused("", "Usage");
        refused("sweep", "unrecognized subcommand");
        refused("local --port 70000", "70000");
        for bad in [
            "here",
            "localhost:9000",
            "mailto:x",
            "ftp://host/",
            "http://",
        ] {
            refused(&format!("local --functions {bad}"), "http:// or https://");
        }
        assert!(parse("local --functions http://localhost:9000").is_ok());
        refused("local --import", "a value is required");
        refused("import", "FILE");
        refused("completions tcsh", "possible values");
    }
}
