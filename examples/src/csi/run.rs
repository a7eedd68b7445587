//! `open-local csi`: everything put together.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::SystemMounts;
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_csi::server::{ServerOptions, serve};
use open_local_csi::service::{Driver, Held, Mode};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::arguments::Arguments;
use super::file;
use super::metrics::Metrics;
use super::pause::Pause;
use super::pools::{self, Opened};
use super::sample::Samples;
use super::settings::{Layer, Settings};
use super::upkeep;
use super::web::{self, Site};
use crate::answer::Answer;
use crate::context::Globals;

/// The variable that names the configuration file.
const CONFIG: &str = "OPEN_LOCAL_CSI_CONFIG";
/// The variable that names the pool of the other commands.
const SHELLS_POOL: &str = "OPEN_LOCAL_POOL";

/// Serves until a signal asks for the end.
///
/// # Errors
/// `InvalidArgument` for settings that can't be; what opening the pools and listening give.
pub fn run(globals: &Globals, arguments: &Arguments) -> Result<Answer> {
    let settings = settings(arguments)?;
    let obsolete = arguments.obsolete.given();
    if !obsolete.is_empty() {
        tracing::warn!(options = obsolete.join(", "), "options that say nothing any more");
    }
    if globals.dry_run {
        return Ok(told(&settings));
    }
    let mut roots = globals.roots()?;
    roots.state =
        settings.state.clone().filter(|_| globals.state_dir.is_none()).unwrap_or(roots.state);
    roots.run = settings.run.clone().filter(|_| globals.run_dir.is_none()).unwrap_or(roots.run);
    roots.sys = settings.sys.clone().unwrap_or(roots.sys);
    let central = settings.config.mode == Mode::Central;
    if settings.pools.is_empty() && !central {
        let message = "there is no pool to serve";
        return Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::Host, message)
            .with_remedy("name one: --pool fast=file:/srv/open-local"));
    }
    let checked = pools::check(&settings.pools, roots)?;
    // A central driver keeps no records.
    let _held = if central { None } else { Some(Held::take(checked.host())?) };
    let opened = checked.open()?;
    let driver = driver(&settings, &opened)?;
    if central {
        tracing::warn!("nothing here knows the cluster yet: expansions and limits are not served");
    } else {
        driver.remember_pools().map_err(|status| {
            Error::new(ErrorKind::Io, Op::WriteState, Subject::Host, status.message())
                .with_remedy("see that the folder of --state-dir can be written")
        })?;
    }
    serve_all(&settings, &opened, &driver)?;
    Ok(Answer::raw(""))
}

/// The command line, the environment and the file.
fn settings(arguments: &Arguments) -> Result<Settings> {
    let read = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let named = arguments.config.clone().or_else(|| read(CONFIG).map(Into::into));
    let below = named.as_deref().map_or_else(|| Ok(Layer::default()), file::read)?;
    let shells = read(SHELLS_POOL);
    Settings::read(
        &arguments.layer(shells.as_deref()).over(Layer::of_environment(read)).over(below),
    )
}

/// What would be served.
fn told(settings: &Settings) -> Answer {
    let pools: Vec<String> = settings
        .pools
        .iter()
        .map(|pool| format!("ensure pool {} of backend {}", pool.spec.id, pool.backend))
        .collect();
    let last = format!("serve {} at {}", settings.config.driver_name, settings.socket.display());
    let steps: Vec<String> = pools.into_iter().chain([last]).collect();
    crate::view::change::answer(&open_local_core::Plan::new(
        Subject::path(&settings.socket),
        &steps,
    ))
}

fn driver(settings: &Settings, opened: &Opened) -> Result<Driver> {
    let machine = &opened.machine;
    let filesystems: Arc<dyn Filesystems> = match &machine.filesystems {
        Some(filesystems) => Arc::clone(filesystems),
        None => Arc::new(HostFilesystems::new(machine.host.clone(), Arc::new(SystemMounts))),
    };
    let mut builder = Driver::builder(settings.config.clone(), machine.host.clone(), filesystems)
        .pools(opened.set.clone());
    if let Some(throttle) = &machine.throttle {
        builder = builder.throttle(Arc::clone(throttle));
    }
    builder.build().map_err(|status| {
        Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::Host, status.message())
            .with_remedy("correct the option it names")
    })
}

fn serve_all(settings: &Settings, opened: &Opened, driver: &Driver) -> Result<()> {
    let names = opened.pools.iter().map(|(id, _)| id.clone());
    let samples = Samples::new(settings.interval, names);
    let config = driver.config();
    let metrics = Arc::new(Metrics::new(samples.clone(), &config.driver_name, &config.version));
    let mut options = ServerOptions::new(&settings.socket);
    options.workers = settings.workers;
    options.grace = settings.grace;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        // A thread for each call that is worked on, and a few for the runtime's own.
        .max_blocking_threads(options.threads(opened.pools.len()).saturating_add(8))
        .enable_all()
        .build()
        .map_err(|e| Error::from_io(Op::RunProgram, Subject::Host, "no threads to run on", e))?;
    let (ending, over) = (Pause::default(), Pause::default());
    let served = runtime.block_on(async {
        let site = Site {
            metrics: Some(Arc::clone(&metrics)),
            health: true,
            samples: samples.clone(),
            ending: ending.clone(),
        };
        let sites = sites(settings, &site).await?;
        upkeep::start(driver, &opened.pools, &samples, settings.interval, &over)?;
        for (listener, site) in sites {
            drop(tokio::spawn(web::serve(listener, site)));
        }
        let stop = stop(ending)?;
        make_folder(&settings.socket)?;
        serve(driver.clone(), options, metrics, stop).await
    });
    over.end();
    // What still hangs with a device goes with the process; the same call finishes it later.
    runtime.shutdown_background();
    tracing::info!("ended");
    served
}

/// Listens at every address; one that is named for both serves both.
async fn sites(settings: &Settings, all: &Site) -> Result<Vec<(TcpListener, Site)>> {
    // Port 0 is another port each time, so that equal addresses with it are several.
    let mut wanted: Vec<(SocketAddr, bool, bool)> = Vec::new();
    let figures = settings.metrics.iter().map(|address| (*address, true, false));
    let health = settings.health.iter().map(|address| (*address, false, true));
    for (address, metrics, health) in figures.chain(health) {
        let same = |one: &&mut (SocketAddr, bool, bool)| one.0 == address && address.port() != 0;
        match wanted.iter_mut().find(same) {
            Some(one) => *one = (address, one.1 || metrics, one.2 || health),
            None => wanted.push((address, metrics, health)),
        }
    }
    let mut listening = Vec::new();
    for (address, metrics, health) in wanted {
        let metrics = metrics.then(|| all.metrics.clone()).flatten();
        let listener = web::listen(address).await?;
        let bound = listener.local_addr().unwrap_or(address);
        tracing::info!(address = %bound, metrics = metrics.is_some(), health, "serving");
        listening.push((listener, Site { metrics, health, ..all.clone() }));
    }
    Ok(listening)
}

/// Ready when SIGTERM or SIGINT comes.
fn stop(ending: Pause) -> Result<impl Future<Output = ()> + Send> {
    let failed = |e| Error::from_io(Op::RunProgram, Subject::Host, "can't hear signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "ending: no new calls are taken up");
        ending.end();
    })
}

/// The folder of the socket, for the owner only where it is not there.
fn make_folder(socket: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let Some(folder) = socket.parent() else { return Ok(()) };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| {
        Error::from_io(
            Op::WriteState,
            Subject::path(folder),
            "the socket's folder can't be made",
            e,
        )
    })
}
