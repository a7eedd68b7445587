//! The endpoints beside the socket: `/metrics`, `/healthz` and `/readyz`.
//!
//! Nothing here waits for a pool. One request a connection, with bounded headers and time; bodies
//! are not read.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use open_local_core::{Error, Op, Result, Subject};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::metrics::{self, Metrics};
use super::pause::Pause;
use super::sample::Samples;

/// Most connections of one address at once; more wait for their turn.
const CONNECTIONS: usize = 32;
/// Most bytes of a request's line and headers.
const HEADERS: usize = 8 << 10;
/// How long the headers may take to come.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a connection may last.
const WHOLE: Duration = Duration::from_secs(15);
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What is served at an address.
#[derive(Debug, Clone)]
pub(super) struct Site {
    /// The figures, where they are served.
    pub(super) metrics: Option<Arc<Metrics>>,
    /// Whether health is served.
    pub(super) health: bool,
    pub(super) samples: Samples,
    /// Over when the process is about to end.
    pub(super) ending: Pause,
}

/// Listens at an address.
///
/// # Errors
/// `Io` naming the address.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|e| {
        let subject = Subject::value(&address.to_string());
        Error::from_io(Op::WriteState, subject, "can't listen at this address", e)
            .with_remedy("give an address of this host and a port that nobody uses")
    })
}

/// Serves until the task is dropped.
pub(super) async fn serve(listener: TcpListener, site: Site) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let site = site.clone();
                let _ = tokio::spawn(async move {
                    // A client that is too slow, or goes away, concerns nobody else.
                    let _ = tokio::time::timeout(WHOLE, connection(stream, site)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection can't be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, site: Site) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = site.answer(&request);
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(HEADERS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a request was not understood or not waited for");
    }
}

fn text(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

impl Site {
    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return text(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD are served\n");
        }
        match (request.uri().path(), &self.metrics) {
            ("/metrics", Some(metrics)) => match metrics.text() {
                Ok(figures) => text(StatusCode::OK, OPENMETRICS, figures),
                Err(e) => text(StatusCode::INTERNAL_SERVER_ERROR, PLAIN, metrics::sorry(e)),
            },
            ("/healthz", _) if self.health => self.health(Vec::new()),
            ("/readyz", _) if self.health => self.health(self.samples.complaints()),
            _ => text(StatusCode::NOT_FOUND, PLAIN, "there is no such page\n"),
        }
    }

    /// Alive until the process ends; ready while nothing is wrong with its pools. A hung pool is
    /// no reason to start the process again, so being alive does not depend on one.
    fn health(&self, mut complaints: Vec<String>) -> Response<Full<Bytes>> {
        if self.ending.is_over() {
            complaints.push("the process is about to end".to_owned());
        }
        if complaints.is_empty() {
            return text(StatusCode::OK, PLAIN, "ok\n");
        }
        let lines: String = complaints.iter().map(|line| format!("{line}\n")).collect();
        text(StatusCode::SERVICE_UNAVAILABLE, PLAIN, lines)
    }
}
