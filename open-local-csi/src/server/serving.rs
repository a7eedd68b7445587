//! Serving until told to stop.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::calls::Calls;
use super::observer::Observer;
use super::options::ServerOptions;
use super::services::controller_server::ControllerServer;
use super::services::group_controller_server::GroupControllerServer;
use super::services::identity_server::IdentityServer;
use super::services::node_server::NodeServer;
use super::socket::Socket;
use crate::service::Driver;

/// Most calls under way on one connection.
const STREAMS: u32 = 256;
/// Largest set of headers of a call, in bytes.
const HEADERS: u32 = 16 << 10;
/// Longest grace.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// When all that was begun must have ended; known from the stop on, and the same for connections
/// and for the calls behind them.
#[derive(Debug, Clone, Default)]
struct Ending(Arc<OnceLock<Instant>>);

impl Ending {
    /// That of a stop now, unless there was one before.
    fn at(&self, grace: Duration) -> Instant {
        *self.0.get_or_init(|| {
            let now = Instant::now();
            now.checked_add(grace.min(LONGEST)).unwrap_or(now)
        })
    }
}

/// Serves a driver on a unix socket until `stop` is ready.
///
/// Then no new call is taken up, and those that were begun have the grace of the options to end,
/// counted from the stop.
/// What has not ended by then goes on in its thread; nothing is undone, and the same call finishes
/// it after the next start.
///
/// # Errors
/// `Busy` if another process serves there, `Refused` if the path is no socket, `Io`.
pub async fn serve(
    driver: Driver,
    options: ServerOptions,
    observer: Arc<dyn Observer>,
    stop: impl Future<Output = ()> + Send,
) -> Result<()> {
    let threads = options.threads(driver.pools().count());
    let failed = |what: &'static str| {
        let subject = Subject::path(&options.socket);
        move |e: std::io::Error| Error::from_io(Op::WriteState, subject, what, e)
    };
    let (socket, listener) = Socket::listen(&options.socket)?;
    let permits = Arc::new(Semaphore::new(threads));
    let calls = Calls {
        driver,
        observer,
        workers: Arc::clone(&permits),
        waiting: Arc::default(),
        longest_answer: options.longest_answer,
    };
    let ending = Ending::default();
    let served = async {
        listener.set_nonblocking(true).map_err(failed("can't listen without waiting"))?;
        let listener = UnixListener::from_std(listener).map_err(failed("can't listen"))?;
        tracing::info!(socket = %options.socket.display(), "serving");
        run(calls, &options, listener, stop, &ending).await
    }
    .await;
    // Whoever comes now finds no socket, and those who are here are waited for.
    socket.remove();
    let all = u32::try_from(threads).unwrap_or(u32::MAX);
    let until = ending.at(options.grace);
    let ended = tokio::time::timeout_at(until, permits.acquire_many(all)).await;
    if ended.is_err() {
        tracing::warn!(grace = ?options.grace, "calls are still under way");
    }
    served
}

async fn run(
    calls: Calls,
    options: &ServerOptions,
    listener: UnixListener,
    stop: impl Future<Output = ()> + Send,
    ending: &Ending,
) -> Result<()> {
    let largest = options.largest_message;
    let (told, stopped) = oneshot::channel::<Instant>();
    let (ending, grace) = (ending.clone(), options.grace);
    let identity = IdentityServer::new(calls.clone()).max_decoding_message_size(largest);
    let controller = ControllerServer::new(calls.clone()).max_decoding_message_size(largest);
    let groups = GroupControllerServer::new(calls.clone()).max_decoding_message_size(largest);
    let node = NodeServer::new(calls).max_decoding_message_size(largest);
    let server = Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_max_header_list_size(HEADERS)
        .add_service(identity)
        .add_service(controller)
        .add_service(groups)
        .add_service(node)
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), async {
            stop.await;
            let _ = told.send(ending.at(grace));
        });
    let ended = async {
        match stopped.await {
            Ok(until) => tokio::time::sleep_until(until).await,
            // The server is done, which the other branch tells.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = server => served.map_err(|e| {
            let subject = Subject::path(&options.socket);
            Error::new(ErrorKind::Io, Op::WriteState, subject, "the server failed").with_source(e)
        }),
        () = ended => Ok(()),
    }
}
