//! `open-local plan …`.

mod input;
mod output;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use open_local_core::plan::{DEFAULT_SEARCH_LIMIT, Policy, Scoring, Strategy};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use serde_json::json;

use crate::answer::{Answer, OutputFormat};
use crate::context::Globals;
use crate::plan::model::Cluster;
use crate::plan::report::{self, Told};
use crate::plan::simulate::{self, Order, Settings};
use crate::plan::{picture, read};
use watch::Progress;

/// What to plan.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print an annotated cluster file to start from
    Init,
    /// Place every pod of the file; exit code 5 if some have no place
    Place {
        /// What every simulation takes.
        #[command(flatten)]
        common: Common,
        /// Where the picture goes.
        #[command(flatten)]
        picture: Picture,
    },
    /// Place every pod of the file, and then more of one
    Fill {
        /// What every simulation takes.
        #[command(flatten)]
        common: Common,
        /// Where the picture goes.
        #[command(flatten)]
        picture: Picture,
        /// The pod; one with `replicas: 0` is a template only
        #[arg(long, value_name = "NAME")]
        pod: String,
        /// How many more; exit code 5 if they do not fit [default: as many as fit]
        #[arg(long, value_name = "NUMBER")]
        count: Option<usize>,
    },
    /// Place every pod of the file, take a node away, and find new places for its pods
    Drain {
        /// What every simulation takes.
        #[command(flatten)]
        common: Common,
        /// Where the picture goes.
        #[command(flatten)]
        picture: Picture,
        /// The node
        #[arg(long, value_name = "NAME")]
        node: String,
    },
    /// Place every pod of the file by binpack and by spread
    Compare {
        /// What every simulation takes.
        #[command(flatten)]
        common: Common,
        /// Where the picture goes.
        #[command(flatten)]
        picture: Picture,
    },
    /// Say what one node thinks of one pod when its turn comes
    Explain {
        /// What every simulation takes.
        #[command(flatten)]
        common: Common,
        /// The pod; of several replicas one such as web-07, else the first
        #[arg(long, value_name = "NAME")]
        pod: String,
        /// The node
        #[arg(long, value_name = "NAME")]
        node: String,
    },
}

/// Where volumes go and which nodes score high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StrategyWord {
    /// Fill what is fullest.
    Binpack,
    /// Use what is emptiest.
    Spread,
}

/// The definition of scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScoreWord {
    /// 0 to 1000.
    Default,
    /// The scale of the Go version of open-local.
    Compatible,
}

/// In which order pods come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OrderWord {
    /// As in the file.
    #[default]
    File,
    /// The one that asks for the most bytes first.
    Largest,
}

/// What every simulation takes.
#[derive(Debug, Args)]
pub struct Common {
    /// The cluster, in YAML or JSON; - reads standard input
    pub file: PathBuf,
    /// Where volumes go and which nodes score high [default: what the file says, else binpack]
    #[arg(long, value_enum)]
    pub strategy: Option<StrategyWord>,
    /// The definition of scores [default: what the file says, else default]
    #[arg(long, value_enum)]
    pub score: Option<ScoreWord>,
    /// In which order pods come
    #[arg(long, value_enum, default_value_t)]
    pub order: OrderWord,
    /// Most attempts to fit the volumes of one pod into the pools of one node
    #[arg(long, value_name = "NUMBER", default_value_t = DEFAULT_SEARCH_LIMIT)]
    pub search_limit: u32,
    /// Give up after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub time_limit: u64,
}

/// Where the picture goes.
#[derive(Debug, Args)]
pub struct Picture {
    /// Also draw the nodes before and after; an existing file is replaced
    #[arg(long, value_name = "FILE.html|FILE.svg")]
    pub picture: Option<PathBuf>,
}

impl Common {
    fn read(&self) -> Result<Cluster> {
        let (bytes, name) = input::read(&self.file)?;
        read::cluster(&bytes, &name)
    }

    fn settings(&self, cluster: &Cluster) -> Settings {
        let wishes = cluster.wishes;
        let strategy = match self.strategy {
            Some(StrategyWord::Binpack) => Strategy::Binpack,
            Some(StrategyWord::Spread) => Strategy::Spread,
            None => wishes.strategy.unwrap_or_default(),
        };
        let compatible = match self.score {
            Some(word) => word == ScoreWord::Compatible,
            None => wishes.compatible.unwrap_or_default(),
        };
        let scoring = match compatible {
            true => Scoring::Compatible(wishes.anti_affinity),
            false => Scoring::PerMille,
        };
        let policy =
            Policy::new(strategy).with_scoring(scoring).with_search_limit(self.search_limit);
        let order = match self.order {
            OrderWord::File => Order::File,
            OrderWord::Largest => Order::Largest,
        };
        Settings { policy, order }
    }

    fn watch(&self, globals: &Globals) -> Progress {
        Progress::new(!globals.no_progress, Duration::from_secs(self.time_limit))
    }
}

/// Runs a command. Nothing but the picture is written, and no machine is looked at.
///
/// # Errors
/// `InvalidArgument` for a file that is no cluster, `NotFound` for names it lacks, `Timeout` at
/// the time limit, and what reading the file and writing the picture give.
pub fn run(globals: &Globals, command: &Command) -> Result<Answer> {
    match command {
        Command::Init => Ok(Answer::raw(read::EXAMPLE)),
        Command::Place { common, picture } => place(globals, common, picture),
        Command::Fill { common, picture, pod, count } => {
            fill(globals, common, picture, (pod, *count))
        }
        Command::Drain { common, picture, node } => drain(globals, common, picture, node),
        Command::Compare { common, picture } => compare(globals, common, picture),
        Command::Explain { common, pod, node } => {
            let cluster = common.read()?;
            let settings = common.settings(&cluster);
            let watch = common.watch(globals);
            let found = simulate::explain(&cluster, &settings, (pod, node), &watch)?;
            watch.finish();
            Ok(answer(report::explained(&cluster, &found, &settings.policy)))
        }
    }
}

fn answer(told: Told) -> Answer {
    Answer::new(json!({ "plan": told.json }), told.text)
}

/// What ends the program with its code, after the answer.
fn without_place(common: &Common, refused: usize, all: usize, what: &str) -> Option<Error> {
    (refused > 0).then(|| {
        let message = format!("{refused} of {all} {what}");
        let about = Subject::path(&common.file);
        Error::new(ErrorKind::OutOfSpace, Op::PlanChange, about, message)
            .with_remedy("the answer says why, node by node")
    })
}

fn place(globals: &Globals, common: &Common, picture: &Picture) -> Result<Answer> {
    let target = output::target(picture)?;
    let cluster = common.read()?;
    let settings = common.settings(&cluster);
    let watch = common.watch(globals);
    let outcome = simulate::place(&cluster, &settings, &watch)?;
    watch.finish();
    let wants_json = globals.output == OutputFormat::Json;
    let told = report::placed(&cluster, &outcome, &settings.policy, wants_json);
    let drawing = || picture::placed(&cluster, &outcome, &settings.policy);
    let failure =
        without_place(common, outcome.refused().count(), outcome.pods.len(), "pods have no place");
    output::with_picture(globals, told, target, drawing).map(|a| a.with_failure(failure))
}

fn fill(
    globals: &Globals,
    common: &Common,
    picture: &Picture,
    (pod, count): (&str, Option<usize>),
) -> Result<Answer> {
    let target = output::target(picture)?;
    let cluster = common.read()?;
    let settings = common.settings(&cluster);
    let watch = common.watch(globals);
    let filled = simulate::fill(&cluster, &settings, (pod, count), &watch)?;
    watch.finish();
    let told = report::filled(&cluster, &filled, &settings.policy);
    let drawing = || picture::filled(&cluster, &filled, &settings.policy);
    let asked = count.unwrap_or(filled.placed);
    let missing = asked.saturating_sub(filled.placed);
    let failure = without_place(common, missing, asked, "more pods do not fit");
    output::with_picture(globals, told, target, drawing).map(|a| a.with_failure(failure))
}

fn drain(globals: &Globals, common: &Common, picture: &Picture, node: &str) -> Result<Answer> {
    let target = output::target(picture)?;
    let cluster = common.read()?;
    let settings = common.settings(&cluster);
    let watch = common.watch(globals);
    let drained = simulate::drain(&cluster, &settings, node, &watch)?;
    watch.finish();
    let told = report::drained(&cluster, &drained, &settings.policy);
    let drawing = || picture::drained(&cluster, &drained, &settings.policy);
    let stuck = drained.moves.iter().filter(|one| one.verdict.node().is_none()).count();
    let failure = without_place(common, stuck, drained.moves.len(), "pods have no other place");
    output::with_picture(globals, told, target, drawing).map(|a| a.with_failure(failure))
}

fn compare(globals: &Globals, common: &Common, picture: &Picture) -> Result<Answer> {
    let target = output::target(picture)?;
    let cluster = common.read()?;
    let settings = common.settings(&cluster);
    let watch = common.watch(globals);
    let comparison = simulate::compare(&cluster, &settings, &watch)?;
    watch.finish();
    let told = report::compared(&cluster, &comparison);
    let drawing = || picture::compared(&cluster, &comparison);
    output::with_picture(globals, told, target, drawing)
}
