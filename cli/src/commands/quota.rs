//! `warden quota`.

use std::time::Duration;

use chrono::DateTime;
use clap::{Args, Subcommand};
use shared::IntegrationKey;
use shared::aws::quota::Limiter;
use shared::domain::quota::Decision;
use shared::{Clock, Platform};

use crate::integration::integration;
use crate::output::{Outcome, Output};
use crate::progress;
use crate::quota::{Meter, PermitReport, Policy, QuotaReport, policies_table};
use crate::stack::StackArguments;
use crate::target::{self, Target};

/// The longest wait, in seconds: no policy's period is longer.
const MAX_WAIT_SECONDS: u64 = 366 * 86_400;

/// See the platforms' quotas, and take permits to call them
#[derive(Debug, Args)]
#[command(after_help = "In AWS, QUOTA_POLICIES must be what the deployed functions have.")]
pub(crate) struct Quota {
    #[command(subcommand)]
    operation: Operation,
}

#[derive(Debug, Subcommand)]
enum Operation {
    /// Print every platform's policy
    List {
        #[command(flatten)]
        stack: StackArguments,
    },
    /// Print what is left of an integration's quota; takes nothing
    #[command(after_help = "Whether there is such an integration is not looked at.")]
    Show {
        #[command(flatten)]
        of: Metered,
    },
    /// Take a permit for one call, waiting for one if need be, and print until when to use it
    #[command(
        after_help = "Exit code 1, at once, if no permit frees within --max; it says when one does.\n\
            Only the permit is looked at, not whether there is such an integration. It relies on\n\
            this machine's clock being right to the second."
    )]
    Wait {
        #[command(flatten)]
        of: Metered,
        /// Wait at most so long; 0 only tries
        #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true)]
        max: Duration,
    },
    /// Forget what was granted to an integration
    Reset {
        #[command(flatten)]
        of: Metered,
    },
}

/// Whose quota, and where.
#[derive(Debug, Args)]
struct Metered {
    /// The platform's name, or one of facebook, x, google_ads
    platform: Platform,
    /// The organisation and its integration
    #[arg(value_name = "ORG/INTEGRATION", value_parser = integration)]
    integration: IntegrationKey,
    #[command(flatten)]
    stack: StackArguments,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let whole = text.bytes().all(|b| b.is_ascii_digit()).then_some(text);
    whole
        .and_then(|text| text.parse().ok())
        .filter(|seconds| *seconds <= MAX_WAIT_SECONDS)
        .map(Duration::from_secs)
        .ok_or_else(|| format!("it must be a whole number of seconds from 0 to {MAX_WAIT_SECONDS}"))
}

impl Metered {
    async fn open(self, clock: &Clock) -> anyhow::Result<(Meter, Limiter)> {
        let target = Target::from_arguments(&self.stack, &Target::LIMITER_NEEDS).await?;
        let meter = Meter {
            platform: self.platform,
            integration: self.integration,
        };
        Ok((meter, target.limiter(clock.clone())?))
    }
}

impl Quota {
    pub(crate) async fn run(self, output: &Output) -> anyhow::Result<Outcome> {
        let clock = Clock::system();
        match self.operation {
            Operation::List { stack } => list(&stack, output),
            Operation::Show { of } => show(of, &clock, output).await,
            Operation::Wait { of, max } => wait(of, max, &clock, output).await,
            Operation::Reset { of } => reset(of, &clock, output).await,
        }
    }
}

fn list(stack: &StackArguments, output: &Output) -> anyhow::Result<Outcome> {
    let policies = target::policies(stack)?;
    let object = Policy::all(&policies);
    output.answer(&object, || policies_table(&policies))?;
    Ok(Outcome::Fine)
}

async fn show(of: Metered, clock: &Clock, output: &Output) -> anyhow::Result<Outcome> {
    let (meter, limiter) = of.open(clock).await?;
    let status = limiter.status(&meter.key()).await?;
    let now = clock.now();
    let answer = QuotaReport::new(&meter, &status);
    output.answer(&answer, || answer.render(now))?;
    Ok(Outcome::Fine)
}

async fn wait(
    of: Metered,
    max: Duration,
    clock: &Clock,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let (meter, limiter) = of.open(clock).await?;
    let key = meter.key();
    // A decision has little time. This opens the connection and fetches the
    // credentials before it, and says what is wrong if either fails.
    limiter.status(&key).await?;
    let spinner = progress::spinner();
    spinner.set_message(format!("waiting for a permit for {meter}"));
    let decision = limiter.wait_until_ready(&key, max).await;
    spinner.finish_and_clear();
    let decision = decision?;
    let now = clock.now();
    let waited = PermitReport::new(&meter, &decision, now);
    output.answer(&waited, || waited.render(now))?;
    Ok(Outcome::fine_if(matches!(decision, Decision::Admitted(_))))
}

async fn reset(of: Metered, clock: &Clock, output: &Output) -> anyhow::Result<Outcome> {
    let (meter, limiter) = of.open(clock).await?;
    limiter.reset(&meter.key()).await?;
    let blocked_until = limiter.status(&meter.key()).await?.blocked_until;
    let until = blocked_until.and_then(|at| DateTime::from_timestamp(at.try_into().ok()?, 0));
    output.answer(&meter, || {
        let but = until.map_or_else(String::new, |until| {
            format!(
                ". But {} asks all integrations to wait until {}",
                meter.platform,
                until.to_rfc3339()
            )
        });
        format!(
            "the permits of {meter} are forgotten; whoever was denied before may be denied for \
             another minute{but}"
        )
    })?;
    Ok(Outcome::Fine)
}
