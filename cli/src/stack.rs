//! Which stack the command line selects. Without the feature `local` there is only AWS, and nothing
//! of the local stack is linked.

#[cfg(feature = "local")]
pub(crate) use with_local::{DataDir, StackArguments};
#[cfg(feature = "local")]
pub(crate) use {local::Environment, with_local::OR_LOCAL};
#[cfg(not(feature = "local"))]
pub(crate) use {
    without_local::Environment, without_local::OR_LOCAL, without_local::StackArguments,
};

#[cfg(feature = "local")]
mod with_local {
    use std::ffi::OsString;
    use std::path::PathBuf;

    use clap::Args;
    use local::{Addresses, Environment};

    /// The end of a hint about what AWS needs.
    pub(crate) const OR_LOCAL: &str = ", or add --local for the local stack";

    #[derive(Debug, Args)]
    pub(crate) struct DataDir {
        /// Where the local stack keeps everything; WARDEN_DATA_DIR sets another default
        #[arg(
            long = "data-dir",
            value_name = "DIR",
            default_value_os_t = default_data_dir(std::env::var_os("WARDEN_DATA_DIR"))
        )]
        pub(crate) path: PathBuf,
    }

    /// Replaces clap's `env`, which takes an empty variable for a value and refuses it.
    fn default_data_dir(set: Option<OsString>) -> PathBuf {
        let set = set.filter(|value| !value.is_empty());
        set.map_or_else(|| ".warden".into(), PathBuf::from)
    }

    #[derive(Debug, Args)]
    pub(crate) struct StackArguments {
        /// Work on the stack that `warden local` runs, not on AWS
        #[arg(long)]
        pub(crate) local: bool,
        #[command(flatten)]
        pub(crate) data_dir: DataDir,
    }

    impl StackArguments {
        /// Returns the configuration of the running local stack, if `--local` selects it.
        pub(crate) fn local_environment(&self) -> anyhow::Result<Option<Environment>> {
            if !self.local {
                return Ok(None);
            }
            Environment::new(&Addresses::from_data_dir(&self.data_dir.path)?).map(Some)
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn an_empty_data_directory_counts_as_unset() {
            for (set, path) in [(None, ".warden"), (Some(""), ".warden"), (Some("x"), "x")] {
                assert_eq!(
                    default_data_dir(set.map(OsString::from)),
                    PathBuf::from(path)
                );
            }
        }
    }
}

#[cfg(not(feature = "local"))]
mod without_local {
    use aws_config::SdkConfig;
    use clap::Args;
    use shared::Variables;

    pub(crate) const OR_LOCAL: &str = "";

    #[derive(Debug, Args)]
    pub(crate) struct StackArguments {}

    /// Has no value: without the feature `local` there is no local stack.
    #[derive(Debug)]
    pub(crate) enum Environment {}

    impl StackArguments {
        #[expect(clippy::unnecessary_wraps, reason = "as with the local stack")]
        #[expect(clippy::unused_self, reason = "as with the local stack")]
        pub(crate) const fn local_environment(&self) -> anyhow::Result<Option<Environment>> {
            Ok(None)
        }
    }

    impl Environment {
        pub(crate) fn variables(&self, _: &str) -> Variables {
            match *self {}
        }

        pub(crate) fn function_name(&self, _: &str) -> String {
            match *self {}
        }

        pub(crate) fn sdk_config(&self) -> SdkConfig {
            match *self {}
        }
    }
}
