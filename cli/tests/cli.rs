//! The binary as people run it, against the stack that it runs itself.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail the test")]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

const WARDEN: &str = env!("CARGO_BIN_EXE_warden");
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

fn warden(data_dir: &Path, arguments: &str) -> Command {
    let mut command = Command::new(WARDEN);
    command
        .args(arguments.split_whitespace())
        // Nothing of the machine that runs the tests may matter.
        .env_clear()
        .env("WARDEN_DATA_DIR", data_dir)
        .stdin(Stdio::null());
    command
}

fn run(data_dir: &Path, arguments: &str) -> Output {
    warden(data_dir, arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Returns the one JSON object that is the whole of standard output.
fn object(output: &Output) -> Value {
    let value: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("{e}: {}", text(&output.stdout)));
    assert!(value.is_object(), "{value}");
    value
}

/// A running local stack and its own data directory.
struct Running {
    process: Child,
    data_dir: TempDir,
}

impl Running {
    fn start(options: &str) -> Self {
        Self::start_in(TempDir::new().unwrap(), options, Stdio::null())
    }

    fn start_in(data_dir: TempDir, options: &str, stdin: Stdio) -> Self {
        let log = fs::File::create(data_dir.path().join("output")).unwrap();
        let process = warden(data_dir.path(), "local --port 0 --dynamodb-port 0")
            .args(options.split_whitespace())
            .stdin(stdin)
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut running = Self { process, data_dir };
        running.wait_until("it serves", |running| {
            running.path().join("local.json").exists()
        });
        running
    }

    fn path(&self) -> &Path {
        self.data_dir.path()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.path().join("output")).unwrap()
    }

    fn wait_until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let began = Instant::now();
        while !is_so(self) {
            let ended = self.process.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {what}: {}", self.printed());
            assert!(
                began.elapsed() < STEP_TIMEOUT,
                "not in time: {what}: {}",
                self.printed()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn run(&self, arguments: &str) -> Output {
        run(self.path(), arguments)
    }

    fn gateway(&self) -> String {
        let addresses = fs::read(self.path().join("local.json")).unwrap();
        let addresses: Value = serde_json::from_slice(&addresses).unwrap();
        addresses["gateway"].as_str().unwrap().to_owned()
    }

    fn functions_env(&self) -> Vec<(String, String)> {
        let addresses = fs::read(self.path().join("local.json")).unwrap();
        let addresses = serde_json::from_slice(&addresses).unwrap();
        let environment = local::Environment::new(&addresses).unwrap();
        let lines = environment.env_file().unwrap();
        let pairs = lines.lines().map(|line| line.split_once('=').unwrap());
        pairs
            .map(|(name, value)| (name.to_owned(), value.trim_matches('\'').to_owned()))
            .collect()
    }

    fn token(&self, user: &str) -> String {
        let output = self.run(&format!("token --user {user} --local"));
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).lines().last().unwrap().to_owned()
    }

    async fn get(&self, user: &str, path: &str) -> (u16, Value) {
        let client = reqwest::Client::builder()
            .timeout(STEP_TIMEOUT)
            .no_proxy()
            .build()
            .unwrap();
        let url = format!("{}/api/dashboard/{path}", self.gateway());
        let request = client.get(url).bearer_auth(self.token(user));
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().to_string();
        let asked = Command::new("kill").args([signal, &id]).status().unwrap();
        assert!(asked.success());
    }

    /// Ends the stack by SIGTERM, and returns what it printed.
    fn terminate(self) -> String {
        self.signal("-TERM");
        self.ended(0).1
    }

    /// Waits until the stack ends with this exit code. Returns its directory, and what it printed.
    fn ended(mut self, code: i32) -> (TempDir, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < STEP_TIMEOUT, "it does not stop");
            std::thread::sleep(Duration::from_millis(20));
        };
        let printed = self.printed();
        assert_eq!(status.code(), Some(code), "{printed}");
        for announced in ["local.json", "functions.env"] {
            assert!(!self.path().join(announced).exists(), "{announced}");
        }
        let data_dir = std::mem::replace(&mut self.data_dir, TempDir::new().unwrap());
        (data_dir, printed)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing running.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const EXPORT: &str = r#"{"type":"organization","org_id":"acme","name":"Acme","owner_id":"olga"}
{"type":"member","org_id":"acme","user_id":"ian","permissions":["manage_integrations"]}
{"type":"integration","org_id":"acme","integration_id":"1","platform":"myspace","username":"a","account_id":"1","created_by":"ian","access_token":"planted-1","is_active":true}
"#;

#[tokio::test]
async fn the_whole_loop_runs_from_the_command_line() {
    let stack = Running::start("--no-demo");

    // One line is bad; the others are taken over, and the exit code says so.
    let file = stack.path().join("export.jsonl");
    let expires_at = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let good = json!({
        "type": "integration", "org_id": "acme", "integration_id": "2", "platform": "x",
        "username": "acme", "account_id": "2", "created_by": "ian",
        "access_token": "planted-2", "refresh_token": "planted-3",
        "token_expires_at": expires_at, "is_active": true,
    });
    fs::write(&file, format!("{EXPORT}{good}\n")).unwrap();
    let import = format!("import {} --local", file.display());
    let output = stack.run(&format!("{import} --json"));
    assert_eq!(output.status.code(), Some(1));
    let summary = object(&output);
    assert_eq!(
        (&summary["created"], &summary["refused"]),
        (&json!(3), &json!(1))
    );
    let told = text(&output.stderr);
    assert!(
        told.starts_with("line 3: platform must be one of meta (or facebook), instagram, "),
        "{told}"
    );
    let again = stack.run(&import);
    assert!(text(&again.stdout).contains("3 unchanged"), "{again:?}");

    // The same through a pipe, without the bad line.
    let mut piped = warden(stack.path(), "import - --local --json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    writeln!(piped.stdin.take().unwrap(), "{good}").unwrap();
    let piped = piped.wait_with_output().unwrap();
    assert_eq!(piped.status.code(), Some(0));
    assert_eq!(object(&piped)["unchanged"], 1);

    // The sweep refreshes it, and a second one finds nothing to do.
    let output = stack.run("check --sync --local --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = object(&output);
    let counts = (&report["examined"], &report["auto_refreshed"]);
    assert_eq!(counts, (&json!(1), &json!(1)), "{report}");
    let output = stack.run("check --sync --local --json --days 365");
    assert_eq!(object(&output)["auto_refreshed"], 0);

    // In the background it is only accepted.
    let output = stack.run("check --local --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(object(&output)["accepted"], true);

    let (status, body) = stack.get("olga", "acme/integrations/expiring-tokens").await;
    assert_eq!((status, &body["total_count"]), (200, &json!(0)), "{body}");
    let (status, _) = stack.get("eve", "acme/integrations/expiring-tokens").await;
    assert_eq!(status, 403);

    let printed = stack.terminate();
    assert!(
        printed.contains("/api/dashboard/ORG/notifications"),
        "{printed}"
    );
}

#[test]
fn the_refused_are_counted_and_kept_for_whoever_mends_them() {
    let stack = Running::start("--no-demo");
    let file = stack.path().join("export.jsonl");
    let mut lines: Vec<String> = EXPORT.lines().map(str::to_owned).collect();
    let bad = lines[2].clone();
    for n in 0..150 {
        lines.push(bad.replace(
            r#"integration_id":"1""#,
            &format!(r#"integration_id":"b{n}""#),
        ));
    }
    fs::write(&file, lines.join("\n")).unwrap();
    let rejected = stack.path().join("rejected.jsonl");
    let import = format!("import {} --local", file.display());
    let keeping = format!("{import} --rejected {}", rejected.display());

    // A hundred are printed, the rest is counted; all of them are kept.
    let output = stack.run(&keeping);
    assert_eq!(output.status.code(), Some(1));
    let told: Vec<&str> = text(&output.stderr).lines().collect();
    assert_eq!(told.len(), 101, "{told:?}");
    assert!(
        told[99].starts_with("line 102: platform must be"),
        "{told:?}"
    );
    assert_eq!(
        told[100],
        "51 more with a problem, not printed (--max-errors)"
    );
    assert!(!text(&output.stderr).contains("planted"), "a token");
    let summary = text(&output.stdout);
    assert_eq!(
        summary,
        "153 records: 2 new, 0 changed, 0 unchanged, 151 refused\n"
    );
    assert_eq!(
        fs::read_to_string(&rejected).unwrap(),
        lines[2..].join("\n") + "\n"
    );
    let mode = fs::metadata(&rejected).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    // They are mended and imported; a file that exists is not touched.
    let output = stack.run(&keeping);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(
        told.starts_with("error: ") && told.contains("exists already"),
        "{told}"
    );
    let mended = fs::read_to_string(&rejected)
        .unwrap()
        .replace("myspace", "Meta");
    fs::write(&rejected, mended).unwrap();
    let again = stack.path().join("again.jsonl");
    let output = stack.run(&format!(
        "import {} --local --rejected {}",
        rejected.display(),
        again.display()
    ));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(!again.exists(), "nothing was refused");

    for (most, printed) in [(0, 1), (2, 3), (151, 151), (1000, 151)] {
        let output = stack.run(&format!("{import} --max-errors {most} --json"));
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(object(&output)["refused"], 151);
        assert_eq!(text(&output.stderr).lines().count(), printed, "{most}");
    }

    // A record of several lines is kept on one, and one is told by its number too.
    fs::write(&file, "[\n{\"type\":\"member\",\r\n \"org_id\": 7},\n7]").unwrap();
    let output = stack.run(&format!("{import} --rejected {}", again.display()));
    let expected = "record 1 (line 2): user_id is missing\nrecord 2 (line 4): not a JSON object\n";
    assert_eq!(text(&output.stderr), expected);
    let kept = fs::read_to_string(&again).unwrap();
    assert_eq!(kept, "{\"type\":\"member\",   \"org_id\": 7}\n7\n");
}

#[test]
fn a_file_of_something_else_is_told_in_one_line() {
    let stack = Running::start("--no-demo");
    let file = stack.path().join("export");
    for (bytes, said) in [
        (
            &b"\x1f\x8b\x08\x00"[..],
            "this is gzip, not JSON Lines or a JSON array; unpack it: gunzip -c FILE | warden import -. Nothing was imported",
        ),
        (
            b"PK\x03\x04",
            "this is a zip archive (or a spreadsheet), not JSON Lines or a JSON array; unpack it: unzip -p FILE | warden import -. Nothing was imported",
        ),
        (
            b"\xff\xfe{\0\"\0",
            "this is UTF-16 text, not JSON Lines or a JSON array; convert it: iconv -f UTF-16 -t UTF-8 FILE | warden import -. Nothing was imported",
        ),
        (
            b"org_id,platform\nacme,meta\nacme,meta\n",
            "this is CSV, not JSON Lines or a JSON array; export the rows as JSON, one object a line. Nothing was imported",
        ),
    ] {
        fs::write(&file, bytes).unwrap();
        let rejected = stack.path().join("rejected");
        let output = stack.run(&format!(
            "import {} --local --rejected {}",
            file.display(),
            rejected.display()
        ));
        assert_eq!(output.status.code(), Some(1));
        let expected = format!("error: {}: {said}\n", file.display());
        assert_eq!(text(&output.stderr), expected);
        assert!(output.stdout.is_empty() && !rejected.exists());
    }
}

/// A stack with one integration, acme/2.
fn with_an_integration() -> Running {
    let stack = Running::start("--no-demo");
    let expires_at = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    let integration = json!({
        "type": "integration", "org_id": "acme", "integration_id": "2", "platform": "google",
        "username": "acme", "account_id": "2", "created_by": "ian",
        "access_token": "planted-2", "refresh_token": "planted-3",
        "token_expires_at": expires_at, "is_active": true,
    });
    let organization = EXPORT.lines().next().unwrap();
    let file = stack.path().join("export.jsonl");
    fs::write(&file, format!("{organization}\n{integration}\n")).unwrap();
    let output = stack.run(&format!("import {} --local", file.display()));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    stack
}

#[test]
fn a_platform_is_called_and_its_answer_printed_alone() {
    let stack = with_an_integration();
    let me = "/v26/customers:listAccessibleCustomers";
    let output = stack.run(&format!("call google acme/2 {me} --local --user olga"));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let answer = object(&output);
    assert!(answer["resourceNames"].is_array(), "{answer}");
    assert!(told.contains("quota: 14999 of 15000 left"), "{told}");
    assert!(told.contains("google: 200 OK, accepted"), "{told}");
    let output = stack.run(&format!(
        "call google acme/2 {me} --include --local --user olga"
    ));
    let printed = text(&output.stdout);
    assert!(printed.starts_with("HTTP/1.1 200 OK\n"), "{printed}");
    assert!(
        printed.contains("\nwarden-verdict: accepted\n"),
        "{printed}"
    );
    // With a body it is a POST; the platform refuses this one.
    let output = stack.run("call google acme/2 /v26/nothing -F a=b --local --user olga --json");
    assert_eq!(output.status.code(), Some(1));
    let refused = object(&output);
    let status = (&refused["status"], &refused["verdict"]);
    assert_eq!(status, (&json!(404), &json!("rejected")));
    for (wrong, says) in [
        (
            "google acme/3 /me --local --user olga",
            "no such integration",
        ),
        (
            "meta acme/2 /me --local --user olga",
            "of google, not of meta",
        ),
        ("google acme/2 /me --local --user eve", "not a member"),
        ("google acme/2 /me", "API_URL"),
    ] {
        let output = stack.run(&format!("call {wrong}"));
        assert_eq!(output.status.code(), Some(1), "{wrong}");
        assert!(output.stdout.is_empty(), "{wrong}");
        let told = text(&output.stderr);
        assert!(told.contains(says), "{wrong}: {told}");
    }
    for (wrong, says) in [
        ("google acme/2 /me --local", "--user"),
        ("google acme/2 /me --user olga", "--user is for the local"),
        ("google acme/2 /me?a=b --local --user olga", "-q of its own"),
        ("google acme/2 G@T /me --local --user olga", "the method"),
        ("google acme/2 FOO /me --local --user olga", "the method"),
        ("google acme/2 post --local --user olga", "name a path"),
        ("google acme/2 //me --local --user olga", "empty segment"),
        ("google acme/2 / --local --user olga", "empty segment"),
        (
            "google acme/2 DELETE /../../../../../dashboard/acme/integrations/2 --local --user olga",
            "dot segments",
        ),
        (
            "google acme/2 POST /%2e%2e/access-token --local --user olga",
            "dot segments",
        ),
        ("google acme/2 /me --local -H a@b=c", "the name is none"),
        (
            "google acme/2 /me --local -H Content-Length=5",
            "for each connection",
        ),
    ] {
        let output = stack.run(&format!("call {wrong}"));
        assert_eq!(output.status.code(), Some(2), "{wrong}");
        assert!(output.stdout.is_empty(), "{wrong}");
        let told = text(&output.stderr);
        assert!(told.contains(says), "{wrong}: {told}");
    }
}

#[test]
fn an_access_token_is_printed_alone_and_recorded() {
    let stack = with_an_integration();
    let output = stack.run("access-token acme/2 --local --user olga");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "planted-2\n");
    let output = stack.run("access-token acme/2 --local --user olga --min-validity 60 --json");
    assert_eq!(object(&output)["header"]["value"], "Bearer planted-2");
    let output = stack.run("audit acme/2 --local");
    let told = text(&output.stdout);
    assert!(told.contains("access token taken by olga"), "{told}");
    let output = stack.run("access-token acme/3 --local --user olga");
    assert_eq!(output.status.code(), Some(1));
    for wrong in [
        "access-token acme/2 --local --user olga --min-validity 0",
        "call google acme/2 /me --local --user olga -H authorization=x",
    ] {
        assert_eq!(stack.run(wrong).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn an_integrations_history_is_told_newest_first() {
    let stack = with_an_integration();
    let output = stack.run("audit acme/2 --local");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let none = text(&output.stdout);
    assert!(
        none.starts_with("nothing is recorded of acme/2: "),
        "{none}"
    );
    let output = stack.run("audit acme/2 --local --json");
    let expected = json!({"org_id": "acme", "integration_id": "2", "history": []});
    assert_eq!(object(&output), expected);

    assert!(stack.run("check --sync --local").status.success());
    let output = stack.run("audit acme/2 --local --limit 5");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    for part in ["attempt", "renewed", " ms ", "2096-10-02T07:06:40Z -> "] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let output = stack.run("audit acme/2 --local --json");
    let history = &object(&output)["history"];
    let first = ["kind", "result"].map(|name| history[0][name].clone());
    assert_eq!(first, [json!("attempt"), json!("renewed")], "{history}");
    assert!(!text(&output.stdout).contains("planted"));
}

#[test]
fn one_integration_is_checked_and_what_came_of_it_said() {
    let stack = with_an_integration();
    let output = stack.run("check --integration acme/2 --local --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let checked = object(&output);
    assert_eq!(checked["result"], "renewed", "{checked}");
    let output = stack.run("check --integration acme/2 --local");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("acme/2: "), "{output:?}");
    let output = stack.run("check --integration acme/3 --local");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        text(&output.stdout).starts_with("acme/3: not found\n"),
        "{output:?}"
    );
}

#[tokio::test]
async fn the_demo_shows_every_state_and_agrees_with_the_api() {
    let mut stack = Running::start("--json");
    stack.wait_until("the demo is there", |stack| {
        stack.printed().ends_with("}\n")
    });
    let printed = stack.printed();
    let shown = printed.lines().find(|line| line.starts_with('{')).unwrap();
    let shown: Value = serde_json::from_str(shown).unwrap();
    let integrations = shown["demo"]["integrations"].as_array().unwrap();
    let state = |id: &str| {
        let found = integrations.iter().find(|one| one["integration_id"] == id);
        found.unwrap()["state"].as_str().unwrap()
    };
    for (id, begins) in [
        ("meta-renews-itself", "healthy, renews itself"),
        ("tiktok_business-never-expires", "no end, asked about daily"),
        ("instagram-renewed-in-time", "healthy, renews itself"),
        ("linkedin-expiring", "expiring: warning"),
        ("twitter-expiring", "expiring: urgent"),
        ("tiktok-expiring", "expiring: critical"),
        ("snapchat-expired", "expired"),
        ("google-platform-down", "retrying: "),
        ("meta-access-withdrawn", "reconnect: "),
        ("google-act-first", "act first: "),
        ("twitter-permission-lost", "alive, lost a permission"),
        ("instagram-switched-off", "disconnected"),
    ] {
        let state = state(id);
        assert!(state.starts_with(begins), "{id}: {state}");
    }
    for platform in shared::Platform::ALL {
        let mut all = integrations.iter();
        assert!(
            all.any(|one| one["platform"] == platform.name()),
            "{platform}"
        );
    }

    // The endpoint lists what the table says expires within the week.
    let week = chrono::TimeDelta::days(7);
    let at = |value: &Value| {
        value
            .as_str()
            .map(|at| at.parse::<chrono::DateTime<chrono::Utc>>().unwrap())
    };
    let soonest = integrations
        .iter()
        .filter_map(|one| at(&one["reconnect_by"]));
    let now = at(&shown["demo"]["at"]).unwrap();
    let expected = soonest.filter(|at| *at > now && *at <= now + week).count();
    let (_, body) = stack.get("mia", "demo/integrations/expiring-tokens").await;
    assert_eq!(body["total_count"], expected, "{body}");
    for severity in ["critical_count", "urgent_count", "warning_count"] {
        assert!(body[severity].as_u64().unwrap() > 0, "{severity}");
    }

    // And a person's notifications are as many as were counted.
    let (_, body) = stack.get("olga", "demo/notifications?limit=100").await;
    let count = shown["demo"]["notifications"]["olga"].as_u64().unwrap();
    assert_eq!(
        body["notifications"].as_array().unwrap().len() as u64,
        count,
        "{body}"
    );
    assert_eq!(shown["demo"]["notifications"]["mia"], 0);

    // Another time it is shown again, but not if it was never whole.
    stack.signal("-TERM");
    let (data_dir, _) = stack.ended(0);
    let mut stack = Running::start_in(data_dir, "--json", Stdio::null());
    stack.wait_until("the demo is shown", |stack| {
        stack.printed().ends_with("}\n")
    });
    stack.signal("-TERM");
    let (data_dir, _) = stack.ended(0);
    fs::remove_file(data_dir.path().join("demo.complete")).unwrap();
    let output = run(data_dir.path(), "local --port 0 --dynamodb-port 0");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    for part in ["the demo failed", "interrupted", "--no-demo"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.contains(&format!("delete {}", data_dir.path().display())));
    Running::start_in(data_dir, "--no-demo", Stdio::null()).terminate();
}

#[test]
fn permits_are_taken_until_none_is_left_and_after_a_reset_again() {
    let stack = Running::start("--no-demo");
    let output = stack.run("quota list --local --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let burst = object(&output)["linkedin"]["burst"].as_u64().unwrap();
    assert_eq!(burst, 20);
    let output = stack.run("quota list --local");
    assert!(text(&output.stdout).contains("linkedin"), "{output:?}");

    let output = stack.run("quota wait linkedin acme/7 --local");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let use_by = text(&output.stdout).trim_end();
    chrono::DateTime::parse_from_rfc3339(use_by).unwrap();
    let output = stack.run("quota show linkedin acme/7 --local --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(object(&output)["remaining"], 99);
    assert_eq!(object(&output)["burst"]["remaining"], burst - 1);
    let output = stack.run("quota show linkedin acme/7 --local");
    assert!(text(&output.stdout).contains("in 1 minute"), "{output:?}");

    // A script elsewhere, with a policy of its own and the process's environment:
    // two in a minute, of which one is taken already.
    let elsewhere = |arguments: &str| {
        warden(stack.path(), arguments)
            .envs(stack.functions_env())
            .env(
                "QUOTA_POLICIES",
                r#"{"linkedin":{"limit":2,"period":60,"burst":2}}"#,
            )
            .output()
            .unwrap()
    };
    let output = elsewhere("quota wait linkedin acme/7 --max 0 --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let permit = object(&output);
    assert_eq!(
        (&permit["decision"], &permit["remaining"]),
        (&json!("admitted"), &json!(0))
    );
    let began = Instant::now();
    let output = elsewhere("quota wait linkedin acme/7 --max 30 --json");
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let denial = object(&output);
    assert_eq!(denial["decision"], "denied");
    assert!(denial["retry_after"].as_u64().unwrap() > 30, "{denial}");
    let output = elsewhere("quota wait linkedin acme/7 --max 0");
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.starts_with("no permit for linkedin acme/7: the next one frees in"));

    // Another integration's quota is its own, and so is this one's after a reset.
    let output = elsewhere("quota show linkedin acme/8 --json");
    assert_eq!(object(&output)["remaining"], 2);
    let output = elsewhere("quota reset linkedin acme/7 --json");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let expected = json!({"platform": "linkedin", "org_id": "acme", "integration_id": "7"});
    assert_eq!(object(&output), expected);
    let output = stack.run("quota show linkedin acme/7 --local");
    assert_eq!(text(&output.stdout).matches("nothing taken").count(), 2);
    assert_eq!(
        elsewhere("quota wait linkedin acme/7").status.code(),
        Some(0)
    );
}

#[test]
fn an_import_that_was_not_clean_shows_in_the_exit_code() {
    let files = TempDir::new().unwrap();
    let file = files.path().join("export.jsonl");
    for (lines, code) in [(EXPORT.lines().count(), 1), (2, 0)] {
        let lines: Vec<&str> = EXPORT.lines().take(lines).collect();
        fs::write(&file, lines.join("\n")).unwrap();
        let mut stack = Running::start(&format!("--json --import {}", file.display()));
        stack.wait_until("it is imported", |stack| stack.printed().ends_with("}\n"));
        stack.token("olga"); // it serves all the same
        stack.signal("-TERM");
        stack.ended(code);
    }
}

#[test]
fn an_import_from_an_open_standard_input_can_be_stopped() {
    let data_dir = TempDir::new().unwrap();
    let mut stack = Running::start_in(data_dir, "--import -", Stdio::piped());
    let open = stack.process.stdin.take().unwrap();
    stack.signal("-INT");
    stack.ended(0);
    drop(open);
}

#[test]
fn functions_elsewhere_are_told_their_environment_and_a_second_signal_ends_the_wait_for_them() {
    // It takes invocations, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let mut stack = Running::start(&format!("--no-demo --functions http://{address}"));
    let file = stack.path().join("functions.env");
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let env = fs::read_to_string(&file).unwrap();
    for line in [
        "INTEGRATIONS_TABLE='warden-integrations'\n",
        "AWS_ACCESS_KEY_ID='local'\n",
        "AWS_ENDPOINT_URL_DYNAMODB='http://127.0.0.1:",
    ] {
        assert!(env.contains(line), "{line}: {env}");
    }

    assert!(stack.run("check --local").status.success());
    // Held: closed, it would be an answer of a kind.
    let _accepted = silent.accept().unwrap();
    stack.signal("-TERM");
    stack.wait_until("it is stopping", |stack| {
        stack.printed().ends_with("stopping\n")
    });
    let began = Instant::now();
    stack.signal("-INT");
    let (_, printed) = stack.ended(1);
    assert!(printed.contains("stopped at once"), "{printed}");
    assert!(began.elapsed() < Duration::from_secs(5), "{printed}");
}

#[test]
fn an_event_that_was_given_up_is_logged_with_its_cause_and_not_its_payload() {
    // Nothing listens where the functions should be.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut stack = Running::start(&format!("--no-demo --functions {address}"));
    assert!(stack.run("check --local --days 5").status.success());
    stack.wait_until("it is given up", |stack| stack.printed().contains("ERROR"));
    let printed = stack.terminate();
    let line = printed.lines().find(|line| line.contains("ERROR")).unwrap();
    for part in ["warden-check-tokens", "Local.Unreachable", &address] {
        assert!(line.contains(part), "{part}: {line}");
    }
    assert!(!line.contains("days"), "{line}");
}

#[test]
fn missing_credentials_are_told_in_a_line() {
    let nowhere = TempDir::new().unwrap();
    // Machine metadata that refuse: of that the SDK warns at length.
    let metadata = TcpListener::bind("127.0.0.1:0").unwrap();
    let refusing = format!("http://{}", metadata.local_addr().unwrap());
    std::thread::spawn(move || {
        for caller in metadata.incoming() {
            let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let mut caller = caller.unwrap();
            let _ = caller.read(&mut [0; 4096]);
            let _ = caller.write_all(answer.as_bytes());
        }
    });
    const ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    for (name, value, cause) in [
        ("AWS_EC2_METADATA_DISABLED", "true", "\n"),
        (ENDPOINT, "http://127.0.0.1:1", "\n"),
        (ENDPOINT, &refusing, ": an error occurred"),
    ] {
        let output = warden(nowhere.path(), "check")
            .env("CHECK_TOKENS_FUNCTION", "check")
            .env("AWS_REGION", "us-east-1")
            .env("HOME", nowhere.path())
            .env(name, value)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        let told = text(&output.stderr);
        let line = "error: no AWS credentials: configure them, or add --local for the local stack";
        let rest = told.strip_prefix(line);
        assert!(rest.is_some_and(|rest| rest.starts_with(cause)), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn an_empty_data_directory_in_the_environment_counts_as_unset() {
    let here = TempDir::new().unwrap();
    let output = warden(Path::new(""), "token --user olga --local")
        .current_dir(here.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stderr);
    assert!(told.contains("running in .warden;"), "{told}");
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let nowhere = TempDir::new().unwrap();
    for (arguments, code, said) in [
        ("check --days 0", 2, "a whole number from 1 to 365"),
        ("token --user olga", 2, "AuthIssuer"),
        ("token --user olga --local", 1, "warden local"),
        ("check --sync", 1, "TOKEN_KEY_ID (output TokenKeyArn)"),
        ("check", 1, "CHECK_TOKENS_FUNCTION"),
        ("quota show myspace acme/7", 2, "known are meta"),
        ("quota show x acme", 2, "as in acme/7f0c"),
        (
            "quota wait x acme/7 --max 1m",
            2,
            "a whole number of seconds",
        ),
        (
            "quota wait x acme/7",
            1,
            "QUOTAS_TABLE (output QuotasTableName)",
        ),
        ("quota list --local", 1, "warden local"),
        ("check --integration acme", 2, "as in acme/7f0c"),
        ("check --integration acme/7 --sync", 2, "cannot be used"),
        ("check --integration acme/7", 1, "CHECK_TOKENS_FUNCTION"),
        ("audit acme/7 --limit 0", 2, "from 1 to 1000"),
        ("audit acme/7", 1, "AUDIT_TABLE (output AuditTableName)"),
        ("audit acme/7 --local", 1, "warden local"),
        ("import /no/such/file", 1, "/no/such/file cannot be read"),
        ("import --local /dev/null", 1, "warden local"),
        ("import /", 1, "/ is a directory, not a file"),
        ("local --import /", 1, "/ is a directory, not a file"),
        ("local --functions localhost:9000", 2, "http:// or https://"),
        (
            "local --import /no/such/file",
            1,
            "/no/such/file cannot be read",
        ),
    ] {
        let output = run(nowhere.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments}");
        let told = text(&output.stderr);
        assert!(
            told.starts_with("error: ") && told.contains(said),
            "{arguments}: {told}"
        );
        assert!(output.stdout.is_empty(), "{arguments}");
    }
    let output = run(nowhere.path(), "check --sync --json");
    assert!(object(&output)["error"].is_string());
}

#[test]
fn completions_are_there_for_every_shell() {
    let nowhere = TempDir::new().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(nowhere.path(), &format!("completions {shell}"));
        assert!(output.status.success(), "{shell}");
        assert!(text(&output.stdout).contains("warden"), "{shell}");
    }
}
