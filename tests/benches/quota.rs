//! Our limiter and rate-limiter-flexible's DynamoDB backend, side by side on
//! one engine: `tests/quota-benchmark.sh` prints the tables.
//!
//! This process holds the engine (or goes to the one that `DYNAMODB_ENDPOINT`
//! names) and counts requests in front of it. Each contender runs a cell in a
//! process of its own, one after the other, ours as this program again.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its tables")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use engine::Engine;
use quota::contender::{self, Cell, Measured};
use shared::Variables;

#[path = "../it/quota_engine/counter.rs"]
mod counter;
#[path = "../it/quota_engine/engine.rs"]
mod engine;
mod quota {
    pub(crate) mod contender;
}
#[path = "../it/quota_engine/rolling.rs"]
mod rolling;

const SECONDS: f64 = 3.0;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limiter {
    Ours,
    Theirs,
    /// Their algorithm, sent by our client.
    Imitation,
}

impl Limiter {
    const BOTH: [Self; 2] = [Self::Ours, Self::Theirs];
    const ALL: [Self; 3] = [Self::Ours, Self::Theirs, Self::Imitation];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Theirs => "rate-limiter-flexible",
            Self::Imitation => "its writes, sent from Rust",
        }
    }
}

struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(limiter: Limiter, cell: &Cell, contender: &str) -> Self {
        let mut command = match limiter {
            Limiter::Ours | Limiter::Imitation => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.arg("contender");
                command
            }
            Limiter::Theirs => {
                let mut command = Command::new("node");
                command.arg(contender);
                command
            }
        };
        let mut child = command
            .arg(serde_json::to_string(cell).unwrap())
            .env("NODE_NO_WARNINGS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "{}", limiter.name());
        Self {
            child,
            input,
            output,
        }
    }

    fn go(&mut self) {
        self.input.write_all(b"go\n").unwrap();
    }

    fn finish(mut self) -> Measured {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&line).unwrap()
    }
}

struct Bench {
    engine: Engine,
    /// The path of the other contender's program.
    contender: String,
    cells: u32,
}

impl Bench {
    fn cell(&mut self, limiter: Limiter, of: Cell) -> Cell {
        self.cells += 1;
        Cell {
            name: format!("cell{}", self.cells),
            endpoint: self.engine.counter.url.clone(),
            table: match limiter {
                Limiter::Ours => self.engine.table().to_owned(),
                // It makes its own, and has by the time it is imitated.
                _ => format!("{}-theirs", self.engine.table()),
            },
            imitates: limiter == Limiter::Imitation,
            ..of
        }
    }

    /// Runs one cell, and returns its measurements and the number of calls.
    fn run(&mut self, limiter: Limiter, of: Cell) -> (Measured, u64) {
        let cell = self.cell(limiter, of);
        let mut running = Running::start(limiter, &cell, &self.contender);
        let before = self.engine.counter.requests();
        running.go();
        let measured = running.finish();
        (measured, self.engine.counter.requests() - before)
    }
}

/// Returns a cell where nothing is refused: every decision is a grant.
fn plenty() -> Cell {
    Cell {
        name: String::new(),
        endpoint: String::new(),
        table: String::new(),
        callers: 64,
        keys: 1,
        seconds: SECONDS,
        limit: 10_000_000,
        period: 3_600,
        edge: false,
        remembers: false,
        imitates: false,
    }
}

fn most(measured: &Measured, seconds: u32) -> usize {
    let of = |grants: &Vec<i64>| rolling::most_within(grants, i64::from(seconds) * 1000);
    measured.grants.iter().map(of).max().unwrap_or(0)
}

fn row(cell: &Cell, name: &str, measured: &Measured, calls: u64) -> [String; 9] {
    [
        cell.keys.to_string(),
        cell.callers.to_string(),
        name.to_owned(),
        format!("{:.0}", measured.decisions as f64 / measured.seconds),
        format!("{:.2}", measured.p50),
        format!("{:.2}", measured.p99),
        format!("{:.3}", calls as f64 / measured.decisions as f64),
        format!("{} of {}", most(measured, cell.period), cell.limit),
        measured.errors.to_string(),
    ]
}

fn table() -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "keys",
        "callers",
        "limiter",
        "decisions/s",
        "p50 ms",
        "p99 ms",
        "calls per decision",
        "most in any period",
        "errors",
    ]);
    table
}

fn granting(bench: &mut Bench) {
    let mut table = table();
    let mut ratios = Vec::new();
    for keys in [1, 400] {
        for callers in [1, 16, 64] {
            let cell = Cell {
                keys,
                callers,
                ..plenty()
            };
            let [ours, theirs, imitation] = Limiter::ALL.map(|limiter| {
                let (measured, calls) = bench.run(limiter, cell.clone());
                table.add_row(row(&cell, limiter.name(), &measured, calls));
                measured.decisions as f64 / measured.seconds
            });
            ratios.push(format!(
                "{keys} keys, {callers} callers: {:.2}x and {:.2}x",
                ours / theirs,
                ours / imitation
            ));
        }
    }
    println!("Nothing refused: every decision is a grant\n\n{table}\n");
    println!(
        "Decisions/s, ours over theirs and over its imitation: {}\n",
        ratios.join("; ")
    );
}

fn refusing(bench: &mut Bench) {
    let mut table = table();
    let cell = Cell {
        limit: 200,
        ..plenty()
    };
    for (limiter, remembers, name) in [
        (Limiter::Ours, true, "ours"),
        (Limiter::Theirs, false, "rate-limiter-flexible"),
        (
            Limiter::Theirs,
            true,
            "the same with inMemoryBlockOnConsumed",
        ),
    ] {
        let cell = Cell {
            remembers,
            ..cell.clone()
        };
        let (measured, calls) = bench.run(limiter, cell.clone());
        table.add_row(row(&cell, name, &measured, calls));
    }
    println!(
        "A limit of 200 that is soon used up: almost every decision is a refusal\n\n{table}\n"
    );
}

/// Runs both contenders at once: they mostly wait.
fn across_an_edge(bench: &mut Bench) {
    let mut table = table();
    let cell = Cell {
        limit: 60,
        period: 60,
        edge: true,
        ..plenty()
    };
    let cells = Limiter::BOTH.map(|limiter| (limiter, bench.cell(limiter, cell.clone())));
    let mut running = cells.map(|(limiter, cell)| {
        let running = Running::start(limiter, &cell, &bench.contender);
        (limiter, cell, running)
    });
    running.iter_mut().for_each(|(_, _, running)| running.go());
    for (limiter, cell, running) in running {
        let measured = running.finish();
        let mut row = row(&cell, limiter.name(), &measured, 0);
        // Counted together, asked at another pace, and not what this is about.
        for column in [3, 4, 5, 6] {
            row[column] = "-".to_owned();
        }
        let within = rolling::most_within(&measured.grants[0], 1_000);
        row[7] = format!("{}; {within} in one second", row[7]);
        table.add_row(row);
    }
    println!(
        "60 in any 60 s: one permit, then 64 callers across the end of that minute\n\n{table}"
    );
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, mode, cell] = arguments.as_slice()
        && mode == "contender"
    {
        let cell: Cell = serde_json::from_str(cell).unwrap();
        let config = engine::config(&cell.endpoint);
        let measured = runtime.block_on(contender::run(cell, config, || {
            println!("ready");
            std::io::stdin().read_line(&mut String::new()).unwrap();
        }));
        println!("{}", serde_json::to_string(&measured).unwrap());
        return;
    }
    let variables = Variables::from_process();
    let mut bench = Bench {
        engine: runtime.block_on(Engine::start()),
        contender: variables
            .required("QUOTA_BENCHMARK_CONTENDER")
            .unwrap()
            .to_owned(),
        cells: 0,
    };
    granting(&mut bench);
    refusing(&mut bench);
    across_an_edge(&mut bench);
}
